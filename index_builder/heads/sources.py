"""Feature extractors by name: those of releases, the filter bank, and transformers backbones."""

from pathlib import Path
from typing import NamedTuple

from index_builder.heads.assemble import export_extractor
from index_builder.heads.files import load_head
from index_builder.heads.maps import FeatureSource
from index_builder.heads.statistics import sample_statistics
from model_store.card import FeatureGroupInfo, FeaturesInfo, Preprocessing
from model_store.release import FEATURES, HEAD, Release
from model_store.store import ReleaseStore, open_store
from segsort.features import INPUT_MEAN, INPUT_STD, Extractor, FeatureGroup, Filters
from segsort.head import FeatureStatistics, Head

WORKING_SIZE = 512  # pixels, longest side of the input of an extractor
FILTERS = "filters"


class OpenedFeatures(NamedTuple):
    """A feature extractor, the statistics of its features over images of many kinds, and its head, if it has one."""

    source: FeatureSource
    statistics: FeatureStatistics
    head: Head | None


def open_features(
    name: str,
    store: ReleaseStore,
    folder: Path,
    working_size: int | None = None,
    *,
    remove_positional_bias: bool = False,
) -> OpenedFeatures:
    """Open a feature extractor.

    Args:
        name: a release by name or path that has `features.onnx` (`general`), "filters", or a transformers backbone by
            hub name or local folder.
        store: where releases are looked for.
        folder: where an extractor that is not a release is exported to.
        working_size: longest side of the input, pixels; None: that of the release, else 512.
        remove_positional_bias: of a transformers backbone, see `segsort.backbones.BackboneMaps`.

    Raises:
        ValueError: if the name is none of these, or there is no positional bias to remove.
    """
    backbone = name != FILTERS and _is_backbone(name)
    if remove_positional_bias and not backbone:
        raise ValueError(
            f"the positional bias can be removed from a transformers backbone, and {name!r} is none; leave "
            "--remove-positional-bias out"
        )
    if name == FILTERS:
        licence = {"weights": "none: the filter bank is computed, Apache-2.0"}
        return _opened(_exported(Filters(), FILTERS, folder, working_size, licence))
    if backbone:
        from segsort.backbones import open_backbone

        licence = {"weights": f"{name}: see the licence of that model"}
        maps = open_backbone(name, remove_positional_bias=remove_positional_bias)
        return _opened(_exported(maps, name, folder, working_size, licence))
    release = Release.open(store.resolve(name))
    attachments = release.attachments
    if not {FEATURES, HEAD} <= attachments.keys() or release.card.features is None:
        raise ValueError(
            f"release {release.card.name!r} has no {FEATURES}, so no head can be fitted on it; use 'general', "
            "'filters', a release that was built with --fit, or a transformers backbone"
        )
    stored = load_head(attachments[HEAD])
    preprocessing = release.card.preprocessing
    if working_size is not None:
        preprocessing = Preprocessing.model_validate({**preprocessing.model_dump(), "working_size": working_size})
    licence = {key: str(value) for key, value in release.card.network_licence().items()}
    source = FeatureSource(attachments[FEATURES], release.card.features, preprocessing, licence)
    return OpenedFeatures(source, stored.statistics, stored.head)


def has_features(name: str, store: ReleaseStore | None = None) -> bool:
    """Whether a head can be fitted on an embedder: a name as in `open_features`, or a release without features."""
    if name == FILTERS or _is_backbone(name):
        return True
    return (((store or open_store()).resolve(name)) / FEATURES).is_file()


def _is_backbone(name: str) -> bool:
    """A folder that transformers wrote, or a name such as facebook/dinov2-small, unless its first part is a folder."""
    path = Path(name)
    hub_name = name.count("/") == 1 and name[0] not in "./~" and not path.exists() and not path.parent.exists()
    return (path / "config.json").is_file() or hub_name


def features_info(name: str, groups: tuple[FeatureGroup, ...]) -> FeaturesInfo:
    """Description of an extractor for the card."""
    return FeaturesInfo(name=name, groups=[FeatureGroupInfo(**group._asdict()) for group in groups])


def _opened(source: FeatureSource) -> OpenedFeatures:
    return OpenedFeatures(source, sample_statistics(source), None)


def _exported(
    extractor: Extractor, name: str, folder: Path, working_size: int | None, licence: dict[str, str]
) -> FeatureSource:
    file = folder / FEATURES
    export_extractor(extractor, file)
    preprocessing = Preprocessing(
        working_size=working_size or WORKING_SIZE, mean=(INPUT_MEAN,) * 3, std=(INPUT_STD,) * 3
    )
    return FeatureSource(file, features_info(name, extractor.groups), preprocessing, licence)
