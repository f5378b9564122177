"""Feature extractors by name: those of releases, the filter bank, and transformers backbones."""

from pathlib import Path
from typing import NamedTuple

from index_builder.heads.assemble import export_extractor
from index_builder.heads.files import load_head
from index_builder.heads.maps import FeatureSource
from model_store.card import FeatureGroupInfo, FeaturesInfo, Preprocessing
from model_store.release import FEATURES, HEAD, Release
from model_store.store import ReleaseStore
from segsort.features import INPUT_MEAN, INPUT_STD, Extractor, FeatureGroup, Filters
from segsort.head import FeatureStatistics, Head

WORKING_SIZE = 512  # pixels, longest side of the input of an extractor
FILTERS = "filters"


class OpenedFeatures(NamedTuple):
    """A feature extractor, with the statistics and the identity head that come with it, if any do."""

    source: FeatureSource
    statistics: FeatureStatistics | None
    head: Head | None


def open_features(name: str, store: ReleaseStore, folder: Path, working_size: int | None = None) -> OpenedFeatures:
    """Open a feature extractor.

    Args:
        name: a release by name or path that has `features.onnx` (`general`), "filters", or a transformers backbone by
            hub name or local folder.
        store: where releases are looked for.
        folder: where an extractor that is not a release is exported to.
        working_size: longest side of the input, pixels; None: that of the release, else 512.

    Raises:
        ValueError: if the name is none of these.
    """
    if name == FILTERS:
        return OpenedFeatures(_exported(Filters(), FILTERS, folder, working_size, {}), None, None)
    if (Path(name) / "config.json").is_file() or ("/" in name and not Path(name).exists()):
        from segsort.backbones import open_backbone

        licence = {"features": f"{name}: see the licence of that model"}
        return OpenedFeatures(_exported(open_backbone(name), name, folder, working_size, licence), None, None)
    release = Release.open(store.resolve(name))
    if FEATURES not in release.attachments or release.card.features is None:
        raise ValueError(
            f"release {release.card.name!r} has no {FEATURES}, so no head can be fitted on it; use 'general', "
            "'filters', a release that was built with --fit, or a transformers backbone"
        )
    head, statistics = load_head(release.attachments[HEAD])
    preprocessing = release.card.preprocessing
    if working_size is not None:
        preprocessing = preprocessing.model_copy(update={"working_size": working_size})
    licence = {str(k): str(v) for k, v in release.card.licence.items() if k in ("network", "features", "weights")}
    source = FeatureSource(release.attachments[FEATURES], release.card.features, preprocessing, licence)
    return OpenedFeatures(source, statistics, head)


def has_features(release: Release) -> bool:
    """Whether a head can be fitted on a release."""
    return FEATURES in release.attachments and release.card.features is not None


def features_info(name: str, groups: tuple[FeatureGroup, ...]) -> FeaturesInfo:
    """Description of an extractor for the card."""
    return FeaturesInfo(name=name, groups=[FeatureGroupInfo(**group._asdict()) for group in groups])


def _exported(
    extractor: Extractor, name: str, folder: Path, working_size: int | None, licence: dict[str, str]
) -> FeatureSource:
    file = folder / FEATURES
    export_extractor(extractor, file)
    preprocessing = Preprocessing(
        working_size=working_size or WORKING_SIZE, mean=(INPUT_MEAN,) * 3, std=(INPUT_STD,) * 3
    )
    return FeatureSource(file, features_info(name, extractor.groups), preprocessing, licence)
