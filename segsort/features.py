"""Feature extractors: frozen networks and filter banks whose maps a head turns into embeddings.

An extractor returns named maps, each at its own stride. All take the same input, RGB in -1..1, so that one image
prepared once serves them all. A network that was trained with another normalisation converts its input itself.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from torch import Tensor, nn

from segsort.efficientnet_lite import EfficientNetLite2
from segsort.filters import FilterBank
from segsort.sphere import normalize

STRIDE = 4  # of the finest maps, and of every embedding
INPUT_MEAN = INPUT_STD = 127.5  # input = (rgb - mean) / std, with rgb in 0..255


class FeatureGroup(NamedTuple):
    """One map of an extractor: its name, the number of its channels, and its stride in pixels of the input."""

    name: str
    channels: int
    stride: int


class Extractor(nn.Module, ABC):
    """Base of the extractors. `groups` names the maps that `forward` returns, in their order."""

    groups: tuple[FeatureGroup, ...]

    @abstractmethod
    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """RGB [B, 3, H, W] in -1..1, H and W multiples of 32 -> one map [B, C, H/stride, W/stride] for each group."""


class Filters(Extractor):
    """The filter bank alone: colour and texture at several scales."""

    def __init__(self) -> None:
        super().__init__()
        self.bank = FilterBank()
        self.groups = (FeatureGroup("filters", self.bank.channels, STRIDE),)

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        return (self.bank(image),)


class EfficientNetFeatures(Extractor):
    """Maps of EfficientNet-Lite2. Those of strides 16 and 32 are unit vectors.

    Args:
        weights: see `EfficientNetLite2`.
    """

    def __init__(self, weights: Mapping[str, Tensor] | None = None) -> None:
        super().__init__()
        self.network = EfficientNetLite2(weights)
        self.groups = tuple(
            FeatureGroup(f"stride{stride}", channels, stride)
            for stride, channels in zip((4, 8, 16, 32), self.network.channels, strict=True)
        )

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        fine, eighth, sixteenth, coarse = self.network(image)
        return fine, eighth, normalize(sixteenth, dim=1), normalize(coarse, dim=1)


class Joined(Extractor):
    """Several extractors side by side.

    Raises:
        ValueError: if two maps have one name.
    """

    def __init__(self, extractors: Sequence[Extractor]) -> None:
        super().__init__()
        self.extractors = nn.ModuleList(extractors)
        self.groups = tuple(group for extractor in extractors for group in extractor.groups)
        names = [group.name for group in self.groups]
        if len(set(names)) < len(names):
            raise ValueError(f"the extractors have maps named {names}; the names must differ")

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        return tuple(one for extractor in self.extractors for one in extractor(image))
