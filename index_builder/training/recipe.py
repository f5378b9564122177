"""The settings of a training run, with their defaults."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

IMAGENET = ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375))  # mean, standard deviation of RGB in 0..255
ONE = ((127.5, 127.5, 127.5), (127.5, 127.5, 127.5))  # -1..1: MobileNetV2 and EfficientNet-Lite2


FORMER_NAMES = {"pixels_per_world": "pixels_per_domain", "batch_per_world": "batch_per_domain"}


def with_current_names(document: Mapping[str, Any]) -> dict[str, Any]:
    """A stored recipe with today's field names: those of older runs are replaced, unless the new name is there too."""
    return {
        name if (new := FORMER_NAMES.get(name, name)) in document else new: value for name, value in document.items()
    }


class Recipe(BaseModel):
    """Settings of a training run. They are written into the run's folder and into the card of releases built from it.

    All `datasets` are trained on together; each is a domain. If `reference` names one of them, pixels of the other
    domains are also compared with prototypes of the reference domain. Served retrieval does the same when all exemplars
    come from that domain.

    Sizes are in pixels of the image unless stated otherwise.

    Objectives: "vmf-nca" is supervised segment sorting. "vmf" is unsupervised: its segments are regions of a source
    (`index_builder.regions`), and no label is read. "softmax" is a linear classifier of each pixel on the same network.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _accept_former_names(cls, values: Any) -> Any:
        return with_current_names(values) if isinstance(values, Mapping) else values

    datasets: list[str] = Field(min_length=1)
    roots: dict[str, str] = Field(default_factory=dict)
    train_splits: dict[str, str] = Field(default_factory=dict)
    counts: dict[str, int] = Field(default_factory=dict)
    reference: str | None = None
    label: str = Field("", description="name of this run in tables; runs that differ only by seed share it")
    validation_split: str = "val"
    validation_images: int = Field(
        120, ge=1, description="maximum number of images of each set, in an index or as queries"
    )

    backbone: str = "mobilenet_v2"
    backbone_config: dict[str, Any] = Field(
        default_factory=dict,
        description="configuration values of a backbone trained from scratch, besides the defaults",
    )
    weights: str | None = Field(
        None, description="file with initial weights of MobileNetV2 (.safetensors) or EfficientNet-Lite2 (.pth)"
    )
    start: str | None = Field(None, description="folder of a run or release whose network training starts from")
    frozen: bool = Field(False, description="softmax: train only the classifier; the embedding of `start` stays fixed")
    dimension: int = Field(32, ge=2)
    working_size: int = Field(480, ge=32, description="longest side that the network sees when serving")

    objective: Literal["vmf-nca", "vmf", "softmax"] = "vmf-nca"
    regions: str = Field("felzenszwalb", description="vmf: source of regions; see index_builder.regions")
    region_maps: str | None = Field(None, description="vmf: folder of 16-bit PNGs, for regions 'folder'")
    contours: str | None = Field(None, description="vmf: contour network (ONNX), for regions 'contours'")
    max_regions: int = Field(256, ge=2, description="vmf: number of regions used of an image, the largest first")
    views: int = Field(1, ge=1, description="vmf: crops of one image in a batch; they share their regions")
    kappa: float = Field(10.0, gt=0)
    segments: int = Field(36, ge=1, description="initial K of pixel sorting on a training crop")
    iterations: int = Field(10, ge=1)
    location_weight: float = Field(0.5, ge=0)
    min_pixels: int = Field(3, ge=1, description="smallest piece that becomes a prototype, in pixels of the embedding")
    bank_batches: int = Field(2, ge=0, description="number of batches whose prototypes the memory bank keeps")
    bank_per_batch: int = Field(512, ge=1)
    pixels_per_domain: int = Field(
        2048, ge=1, description="pixels of the embedding that enter the loss, for each domain and step"
    )
    class_balance: float = Field(0.5, ge=0, le=1, description="0 samples pixels uniformly, 1 samples classes uniformly")
    reference_weight: float = Field(1.0, ge=0, description="weight of the loss against the reference domain")

    crop: tuple[int, int] = Field((256, 352), description="height, width of a training crop, multiples of 32")
    scale: tuple[float, float] = (0.6, 1.6)
    photometry: Literal["plain", "strong"] = Field(
        "plain", description="how much light, colour and sharpness of crops are changed"
    )
    rare_crops: float = Field(
        0.0, ge=0, le=1, description="share of crops that are placed on a pixel of a class, rare classes more often"
    )
    class_mix: float = Field(
        0.0, ge=0, le=1, description="share of crops into which small things of a crop on a rare class are pasted"
    )
    batch_per_domain: int = Field(4, ge=1, description="crops of each domain in a batch, of all devices")
    steps: int = Field(2000, ge=1)
    learning_rate: float = Field(2e-3, gt=0)
    backbone_rate: float = Field(0.25, gt=0, description="learning rate of the backbone, as a share of the decoder's")
    weight_decay: float = Field(1e-2, ge=0)
    ema_decay: float = Field(
        0.995, ge=0, lt=1, description="decay of the average of the weights; it is lower in the first steps; 0: none"
    )
    precision: str = "32-true"
    devices: int = Field(1, ge=1)
    accelerator: str = "auto"
    workers: int = Field(1, ge=0)
    validate_every: int = Field(
        500, ge=0, description="steps between validations; 0: never, and the last network is kept"
    )
    seed: int = 0

    @model_validator(mode="after")
    def _fits(self) -> Self:
        known = ", ".join(self.datasets)
        named = [*self.roots, *self.train_splits, *self.counts, *([] if self.reference is None else [self.reference])]
        unknown = [name for name in named if name not in self.datasets]
        if unknown:
            raise ValueError(
                f"{unknown[0]!r} is not a data set of this recipe; name one of {known}, or add it to datasets"
            )
        if any(side < 32 or side % 32 for side in self.crop):
            raise ValueError(f"crop={self.crop}: height and width must be multiples of 32")
        if not 0 < self.scale[0] <= self.scale[1]:
            raise ValueError(f"scale={self.scale}: the minimum must be above 0 and not above the maximum")
        if self.batch_per_domain % self.views:
            raise ValueError(f"batch_per_domain={self.batch_per_domain} must be a multiple of views={self.views}")
        if (self.batch_per_domain // self.views) % self.devices:
            raise ValueError(
                f"batch_per_domain={self.batch_per_domain} with views={self.views} cannot be shared equally between "
                f"devices={self.devices}: give a multiple of {self.views * self.devices}"
            )
        if self.objective != "vmf" and self.views > 1:
            raise ValueError(f"views={self.views} belongs to objective 'vmf', not {self.objective!r}; leave it out")
        if self.objective == "vmf" and (self.rare_crops or self.class_mix):
            raise ValueError(
                f"rare_crops={self.rare_crops}, class_mix={self.class_mix}: objective 'vmf' knows no classes; leave "
                "them out"
            )
        if self.class_mix and not self.rare_crops:
            raise ValueError(f"class_mix={self.class_mix} pastes from crops on rare classes; give rare_crops too")
        if self.frozen and (self.objective != "softmax" or self.start is None):
            raise ValueError(
                f"frozen with objective={self.objective!r}, start={self.start!r}: frozen needs objective='softmax' and "
                "the folder of a run or release as start; give both, or leave frozen out"
            )
        return self

    @property
    def validates(self) -> bool:
        """Whether training validates on labelled images. Unsupervised training never does."""
        return self.validate_every > 0 and self.objective != "vmf"

    def root(self, dataset: str) -> Path | None:
        """Folder of a data set, or None."""
        root = self.roots.get(dataset)
        return Path(root) if root else None


def normalisation(backbone: str) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """Mean and standard deviation of RGB in 0..255 that the weights of a backbone expect."""
    return ONE if backbone in ("mobilenet_v2", "efficientnet_lite2") else IMAGENET
