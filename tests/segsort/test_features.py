"""Extractors return the maps that their groups promise, alone and side by side."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from segsort.features import (
    INPUT_MEAN,
    INPUT_STD,
    STRIDE,
    EfficientNetFeatures,
    Extractor,
    FeatureGroup,
    Filters,
    Joined,
)
from segsort.filters import FilterBank


class Means(Extractor):
    """Mean colours over squares, one map for each stride, multiplied by a learnt factor."""

    def __init__(self, name: str, *strides: int, factor: float = 1.0) -> None:
        super().__init__()
        self.groups = tuple(FeatureGroup(f"{name}{stride}", 3, stride) for stride in strides)
        self.factor = torch.nn.Parameter(torch.tensor(factor))

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        return tuple(self.factor * F.avg_pool2d(image, group.stride) for group in self.groups)


@pytest.fixture(scope="module")
def network() -> EfficientNetFeatures:
    torch.manual_seed(0)
    return EfficientNetFeatures().eval()


def images(count: int, height: int, width: int) -> Tensor:
    """Noise in -1..1."""
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(0)) * 2 - 1


@pytest.mark.parametrize("size", [(32, 32), (64, 96)])
def test_each_map_has_the_channels_and_the_stride_of_its_group(
    network: EfficientNetFeatures, size: tuple[int, int]
) -> None:
    image = images(2, *size)
    for extractor in (Filters(), network, Joined([network, Means("mean", 8, 4), Filters()])):
        with torch.no_grad():
            maps = extractor(image)
        assert [tuple(one.shape) for one in maps] == [
            (2, group.channels, size[0] // group.stride, size[1] // group.stride) for group in extractor.groups
        ]
        assert min(group.stride for group in extractor.groups) == STRIDE


def test_names_and_strides_of_the_groups(network: EfficientNetFeatures) -> None:
    """Releases store these names, so that a changed one makes their heads unreadable."""
    assert [(group.name, group.stride) for group in Joined([Filters(), network]).groups] == [
        ("filters", 4), ("stride4", 4), ("stride8", 8), ("stride16", 16), ("stride32", 32),
    ]  # fmt: skip


def test_the_input_is_in_minus_one_to_one() -> None:
    assert [(rgb - INPUT_MEAN) / INPUT_STD for rgb in (0, 127.5, 255)] == [-1, 0, 1]


def test_filters_are_the_responses_of_the_bank() -> None:
    image = images(2, 32, 64)
    (found,) = Filters()(image)
    assert torch.equal(found, FilterBank()(image))


def test_the_two_coarse_maps_alone_are_scaled_to_unit_vectors_in_each_cell(network: EfficientNetFeatures) -> None:
    image = images(2, 64, 96)
    with torch.no_grad():
        raw, found = network.network(image), network(image)
    assert torch.equal(found[0], raw[0])
    assert torch.equal(found[1], raw[1])
    for before, after in zip(raw[2:], found[2:], strict=True):
        for b in range(2):
            for y in range(before.shape[2]):
                for x in range(before.shape[3]):
                    vector = before[b, :, y, x]
                    length = sum(float(value) ** 2 for value in vector) ** 0.5
                    torch.testing.assert_close(after[b, :, y, x], vector / length, atol=1e-5, rtol=0)


def test_the_network_has_the_weights_that_it_is_given(network: EfficientNetFeatures) -> None:
    weights, image = network.network.state_dict(), images(1, 32, 32)
    with torch.no_grad():
        copied, other = (one.eval()(image) for one in (EfficientNetFeatures(weights), EfficientNetFeatures()))
        for wanted, same, different in zip(network(image), copied, other, strict=True):
            assert torch.equal(same, wanted)
            assert not torch.equal(different, wanted)


def test_joined_maps_are_those_of_each_extractor_in_their_order() -> None:
    image, parts = images(1, 32, 32), (Means("b", 32, 8, factor=2.0), Means("a", 16, factor=3.0))
    joined = Joined(parts)
    assert [group.name for group in joined.groups] == ["b32", "b8", "a16"]
    expected = [one for part in parts for one in part(image)]
    assert len(joined(image)) == 3
    for found, wanted in zip(joined(image), expected, strict=True):
        assert torch.equal(found, wanted)


def test_joined_extractors_are_moved_and_stored_together() -> None:
    joined = Joined([Means("a", 4, factor=2.0), Means("b", 4, factor=3.0)]).double().eval()
    assert [(float(value), value.dtype) for value in joined.state_dict().values()] == [
        (2.0, torch.float64),
        (3.0, torch.float64),
    ]
    assert not any(part.training for part in joined.extractors)


@pytest.mark.parametrize("extractors", [[Means("a", 4), Means("a", 8, 4)], [Means("a", 4, 4)], [Filters(), Filters()]])
def test_two_maps_of_one_name_are_refused_with_all_names(extractors: list[Extractor]) -> None:
    names = [group.name for extractor in extractors for group in extractor.groups]
    with pytest.raises(ValueError, match="the names must differ") as refused:
        Joined(extractors)
    assert str(names) in str(refused.value)
