"""The card of a release: its content, its origin, and the settings that it is served with."""

from itertools import pairwise
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from model_store.class_info import ClassInfo, Frozen
from segsort.pixel_sorting import SortingOptions

__all__ = [
    "FORMAT_VERSION",
    "Calibration",
    "Card",
    "ClassInfo",
    "FeatureGroupInfo",
    "FeaturesInfo",
    "HeadInfo",
    "NetworkInfo",
    "Preprocessing",
    "QuantisedInfo",
    "QuantisedScores",
    "RetrievalInfo",
    "SearchInfo",
    "SortingInfo",
]

FORMAT_VERSION: Literal[1] = 1


class Preprocessing(Frozen):
    """Preprocessing of the network's input: resize, then (rgb - mean) / std, then pad."""

    working_size: int = Field(ge=32, description="Longest side of the resized image in pixels.")
    multiple_of: int = Field(
        default=32,
        ge=1,
        description="The right and bottom edges are repeated until both sides are multiples of this number of pixels.",
    )
    mean: tuple[float, float, float] = Field(
        description="Mean of red, green and blue on the scale 0 to 255; it is subtracted."
    )
    std: tuple[float, float, float] = Field(
        description="Standard deviation of red, green and blue on the scale 0 to 255; the difference is divided by it."
    )
    resample: Literal["bilinear"] = Field(default="bilinear", description="Interpolation of the resized image.")


class NetworkInfo(Frozen):
    """Description of the network of a release."""

    name: str = Field(description="Name of the network: its backbone and what was trained or fitted on it.")
    backbone: str = Field(description="Name of the pretrained network or of the feature extractor inside it.")
    dimension: int = Field(default=32, description="Number of values of an embedding, which is a unit vector.")
    stride: int = Field(default=4, description="Pixels of the network's input between neighbouring embeddings.")
    parameters: int = Field(description="Number of weights.")
    opset: int = Field(description="Version of the ONNX operators that it uses.")


class QuantisedScores(Frozen):
    """What a network in bytes loses on labelled images, beside the same release with its network in float32."""

    images: int = Field(ge=1, description="Number of images.")
    miou: float = Field(ge=0, le=1, description="Mean intersection over union with the network in bytes.")
    miou_float32: float = Field(ge=0, le=1, description="Mean intersection over union with the network in float32.")
    agreement: float = Field(ge=0, le=1, description="Share of the pixels that get the same class from both.")


class QuantisedInfo(Frozen):
    """The network in bytes, `network.int8.onnx`, which computes faster on processors that multiply bytes."""

    calibrated_on: str = Field(description="Images on which the ranges of its maps were found.")
    chosen_on: str = Field(description="Images on which its layers in float32 were chosen.")
    float_layers: list[str] = Field(description="Names of the layers that compute in float32.")
    layers: int = Field(ge=1, description="Number of convolutions.")
    cosine: float = Field(
        ge=-1, le=1, description="Mean cosine between its embeddings and those in float32, on the images of the choice."
    )
    cosine_p01: float = Field(ge=-1, le=1, description="The cosine that 99 of 100 embeddings exceed.")
    measured: dict[str, QuantisedScores] = Field(
        default_factory=dict, description="What it loses, by the labelled images that it was measured on."
    )

    @property
    def loss(self) -> float | None:
        """The largest loss of mIoU on any of the measured images; None: it was not measured."""
        return max((one.miou_float32 - one.miou for one in self.measured.values()), default=None)


class FeatureGroupInfo(Frozen):
    """One map of a feature extractor."""

    name: str = Field(description="Name of the map.")
    channels: int = Field(ge=1, description="Number of values at each position.")
    stride: int = Field(ge=4, description="Pixels of the network's input between neighbouring positions.")


class FeaturesInfo(Frozen):
    """The feature extractor in `features.onnx` of a release that can be adapted."""

    name: str = Field(description="Name of the feature extractor.")
    groups: list[FeatureGroupInfo] = Field(min_length=1, description="The maps that it computes.")


class HeadInfo(Frozen):
    """The head that makes embeddings of features."""

    kind: Literal["identity", "linear", "mlp", "forest", "softmax", "ensemble"] = Field(
        description="Kind of the head; identity: the features themselves, projected to fewer values."
    )
    groups: list[str] = Field(min_length=1, description="Names of the maps that it reads.")
    chosen: str = Field(description="Description of this head: its kind and its maps.")
    cross_validated: dict[str, float] = Field(
        default_factory=dict,
        description="Mean intersection over union, 0 to 1, of each head that was tried, by its description. It is "
        "measured on images that the head was not fitted on, or on such strokes if there is one image. Empty: nothing "
        "could be compared.",
    )
    seconds: float = Field(default=0.0, ge=0, description="Time to choose and fit the head, seconds.")


class SortingInfo(Frozen):
    """Settings of pixel sorting, which divides an image into segments."""

    segments: int = Field(
        default=64, ge=1, description="Number of segments that sorting starts with; it ends with at most as many."
    )
    iterations: int = Field(default=2, ge=1, description="Largest number of iterations over all pixels.")
    coarse_iterations: int = Field(
        default=4, ge=0, description="Largest number of iterations over a quarter of the pixels, before the others."
    )
    location_weight: float = Field(
        default=0.5,
        ge=0,
        description="How much a pixel's location counts beside its embedding, which has length 1: the length of the "
        "location at the end of the longer side. 0: not at all.",
    )
    assignment: Literal["hard", "soft"] = Field(
        default="hard", description="hard: each pixel belongs to one segment; soft: to all, by their probabilities."
    )
    kappa: float = Field(
        default=10.0, gt=0, description="Concentration of a segment's embeddings; only for soft assignment."
    )
    min_area: float = Field(
        default=0.0001,
        ge=0,
        lt=1,
        description="Smallest area of a segment as a share of the image, 0 to 1; smaller segments are merged.",
    )
    precision: Literal["float32", "int8"] = Field(
        default="int8",
        description="Numbers in which pixels are compared with segments. int8 is faster on some processors, and "
        "changes only assignments that are almost equally good.",
    )
    min_part: int = Field(
        default=0,
        ge=0,
        description="Segments are split where their pixels look like several classes of the exemplars. A part of at "
        "least this many pixels, at the network's stride, becomes a segment of its own. 0: segments are not split.",
    )

    def options(self, segments: int | None = None) -> SortingOptions:
        """Options for `segsort.segments`; `segments` replaces the number of the card if it is given."""
        return SortingOptions(
            segments=self.segments if segments is None else segments,
            iterations=self.iterations,
            coarse_iterations=self.coarse_iterations,
            location_weight=self.location_weight,
            assignment=self.assignment,
            kappa=self.kappa,
            precision=self.precision,
        )


class RetrievalInfo(Frozen):
    """Settings of the vote of the nearest exemplars."""

    k: int = Field(default=20, ge=1, description="Number of exemplars that vote on a segment.")
    kappa: float = Field(
        default=10.0, gt=0, description="Concentration: the weight of a vote is strength * exp(kappa * cosine)."
    )
    index_factory: str = Field(
        default="Flat", description="Kind of the search index, in the notation of the FAISS index factory."
    )
    nprobe: int | None = Field(
        default=None,
        ge=1,
        description="Inverted lists that a search visits for each segment. More find more and take longer. null: as "
        "stored with the index; when a release is written, it is chosen so that the index finds 99 of 100.",
    )
    rerank: int | None = Field(
        default=None,
        ge=1,
        le=1000,
        description="Candidates for each exemplar that votes, of which the exact cosines are computed; for an index "
        "that keeps compressed vectors. null: 1; when a release is written, it is chosen as `nprobe` is.",
    )
    shards: int = Field(
        default=1, ge=1, le=1000, description="Parts of the index, each in its own file, that are searched in parallel."
    )
    on_disk: bool = Field(
        default=False,
        description="Whether index and exemplars are mapped from their files instead of read into memory. Only what "
        "searches need is then in memory, and several processes share it.",
    )


class SearchInfo(Frozen):
    """What an approximate search index finds of the exemplars that are nearest, measured when the release was written.

    A query was a prototype of an exemplar, moved as far as its nearest other exemplar is away.
    """

    index_factory: str = Field(description="Kind of the search index, in the notation of the FAISS index factory.")
    k: int = Field(ge=1, description="Number of nearest exemplars that were asked for.")
    recall: float = Field(ge=0, le=1, description="Share of the nearest exemplars that the index found, in the mean.")
    recall_p05: float = Field(ge=0, le=1, description="The share that 95 of 100 queries reached.")
    queries: int = Field(ge=1, description="Number of queries.")
    nearest: float | None = Field(
        default=None, ge=0, le=1, description="Share of the queries of which the index found the very nearest exemplar."
    )


class Calibration(Frozen):
    """Confidence as a function of the winning share, and the threshold of known segments."""

    confidence_x: list[float] = Field(
        min_length=1, description="Winning shares at the knots, 0 to 1, increasing. Between knots the curve is linear."
    )
    confidence_y: list[float] = Field(
        min_length=1, description="Confidences at the knots, 0 to 1, not decreasing; as many as shares."
    )
    known_threshold: float = Field(
        description="A segment is known from this familiarity on, a cosine of -1 to 1. The familiarity is the mean of "
        "two cosines, or the cosine of the segment alone if `calibrated` is false."
    )
    how: str = Field(description="Data that curve and threshold were fitted on; if not calibrated, why not.")
    calibrated: bool = Field(
        default=True,
        description="False: the exemplars did not allow a calibration, for example because there are none. No "
        "confidence is given then, and the knots are not used.",
    )

    @model_validator(mode="after")
    def _monotone(self) -> Self:
        x, y = self.confidence_x, self.confidence_y
        rising = all(a < b for a, b in pairwise(x)) and all(a <= b for a, b in pairwise(y))
        if len(x) != len(y) or not rising:
            raise ValueError(
                f"confidence_x={x} must increase, confidence_y={y} must not decrease; both must have the same length"
            )
        return self


class Card(Frozen):
    """The card of a release."""

    format_version: Literal[1] = Field(default=FORMAT_VERSION, description="Version of the card's format.")
    name: str = Field(min_length=1, description="Name of the release.")
    created: str = Field(description="When it was built, ISO 8601.")
    description: str = Field(description="What it is for.")
    classes: list[ClassInfo] = Field(
        description="Its classes. Their ids are 0, 1, 2, ... in order. An empty release has none."
    )
    retired: list[int] = Field(
        default_factory=list,
        description="Ids of classes that have no exemplars and are not offered. No other class gets their ids.",
    )
    network: NetworkInfo = Field(description="The network that computes embeddings.")
    preprocessing: Preprocessing = Field(description="How an image is prepared for the network.")
    sorting: SortingInfo = Field(description="How pixels are sorted into segments.")
    retrieval: RetrievalInfo = Field(description="How exemplars are searched and vote.")
    calibration: Calibration = Field(
        description="How a share becomes a confidence, and from which familiarity on a segment is known."
    )
    search: SearchInfo | None = Field(
        default=None, description="What the index finds; null: it compares with every exemplar, or was not measured."
    )
    features: FeaturesInfo | None = Field(
        default=None, description="The feature extractor; null: the release cannot be adapted."
    )
    head: HeadInfo | None = Field(
        default=None, description="The head that makes embeddings of features; null: the network has none."
    )
    quantised: QuantisedInfo | None = Field(
        default=None, description="The network in bytes, and what it loses; null: there is none."
    )
    provenance: dict[str, Any] = Field(
        default_factory=dict, description="What it was built with: the version of the software, and the network."
    )
    licence: dict[str, Any] = Field(
        default_factory=dict,
        description="Licences. `network`: of the weights and what they were trained on; `exemplars`: of the images "
        "that the release was built from; `added`: of images that users added. Older cards have licences of the "
        "network beside these keys.",
    )
    data: dict[str, Any] = Field(
        default_factory=dict, description="Where its exemplars and its calibration come from, with their numbers."
    )
    training: dict[str, Any] = Field(default_factory=dict, description="How the network was trained.")
    metrics: dict[str, Any] = Field(
        default_factory=dict, description="Measured results, by what was measured; scores are 0 to 1."
    )

    def network_licence(self) -> dict[str, Any]:
        """Licences of the network: of its weights, of what they were trained on, and of anything else it came with.

        Older cards have these beside the statement on exemplars, without the key "network", or as one text.
        """
        own = self.licence.get("network", {})
        others = {key: value for key, value in self.licence.items() if key not in ("network", "exemplars", "added")}
        return {**others, **(own if isinstance(own, dict) else {"weights": own})}

    @model_validator(mode="after")
    def _numbered(self) -> Self:
        ids = [info.class_id for info in self.classes]
        names = [info.name for info in self.classes]
        if ids != list(range(len(ids))) or len(set(names)) != len(names):
            raise ValueError(
                f"classes have ids {ids} and names {names}; ids must be 0, 1, 2, ... and names must differ"
            )
        if not set(self.retired) <= set(ids):
            raise ValueError(f"retired={self.retired} has unknown class ids; the classes are 0..{len(ids) - 1}")
        return self
