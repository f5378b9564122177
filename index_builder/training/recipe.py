"""What a training run is told: every value that can be set, with its default."""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Recipe(BaseModel):
    """A training run; written into the run's folder and, at the end, into the card of a release built from it.

    `datasets` are trained on together, each in a world of its own. With `reference` set (one of `datasets`), pixels of
    all other worlds are also compared with prototypes of the reference world alone: the retrieval that is served when
    the exemplars come from there. Sizes are in pixels of the image, unless they say otherwise.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    datasets: list[str] = Field(min_length=1)
    roots: dict[str, str] = Field(default_factory=dict)
    train_splits: dict[str, str] = Field(default_factory=dict)
    counts: dict[str, int] = Field(default_factory=dict)
    reference: str | None = None
    validation_split: str = "val"
    validation_images: int = Field(120, ge=1, description="images at most, of each set, in an index or as queries")

    backbone: str = "mobilenet_v2"
    weights: str | None = Field(None, description="safetensors file that MobileNetV2 starts from")
    start: str | None = Field(None, description="folder of a run whose best network this one starts from")
    dimension: int = Field(32, ge=2)
    working_size: int = Field(480, ge=32, description="longest side that the network sees when serving")

    objective: Literal["vmf-nca"] = "vmf-nca"
    kappa: float = Field(10.0, gt=0)
    segments: int = Field(36, ge=1, description="initial K of pixel sorting on a training crop")
    iterations: int = Field(10, ge=1)
    location_weight: float = Field(0.5, ge=0)
    min_pixels: int = Field(3, ge=1, description="smallest piece that becomes a prototype, in pixels of the embedding")
    bank_batches: int = Field(2, ge=0, description="batches whose prototypes are remembered")
    bank_per_batch: int = Field(512, ge=1)
    pixels_per_world: int = Field(
        2048, ge=1, description="pixels of the embedding that enter the loss, a world and step"
    )
    class_balance: float = Field(0.5, ge=0, le=1, description="0 samples pixels as they come, 1 all classes alike")
    reference_weight: float = Field(1.0, ge=0, description="weight of the loss against the reference world")

    crop: tuple[int, int] = Field((256, 352), description="height, width of a training crop, multiples of 32")
    scale: tuple[float, float] = (0.6, 1.6)
    batch_per_world: int = Field(4, ge=1)
    steps: int = Field(2000, ge=1)
    learning_rate: float = Field(2e-3, gt=0)
    backbone_rate: float = Field(0.25, gt=0, description="the backbone's learning rate, as a share of the decoder's")
    weight_decay: float = Field(1e-2, ge=0)
    ema_decay: float = Field(0.995, ge=0, lt=1)
    precision: str = "32-true"
    devices: int = Field(1, ge=1)
    accelerator: str = "auto"
    workers: int = Field(1, ge=0)
    validate_every: int = Field(500, ge=1)
    seed: int = 0

    @model_validator(mode="after")
    def _fits(self) -> Self:
        known = ", ".join(self.datasets)
        told = [*self.roots, *self.train_splits, *self.counts, *([] if self.reference is None else [self.reference])]
        strangers = [name for name in told if name not in self.datasets]
        if strangers:
            raise ValueError(f"{strangers[0]!r} is not among the recipe's data sets ({known}), which may be named")
        if any(side < 32 or side % 32 for side in self.crop):
            raise ValueError(f"crop={self.crop}: height and width must be multiples of 32")
        if not 0 < self.scale[0] <= self.scale[1]:
            raise ValueError(f"scale={self.scale}: the least must be above 0 and not above the greatest")
        return self
