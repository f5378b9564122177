"""Empty releases, and the command `segsort new`."""

from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from typer.testing import CliRunner

from command_line.main import cli
from index_builder.heads import OpenedFeatures, load_head
from index_builder.new_release import write_new
from model_store.predictor import Predictor
from model_store.release import FEATURES, HEAD, Release, ReleaseError
from model_store.store import ReleaseStore
from segsort.retrieval import NO_CLASS
from tests.index_builder.conftest import Textures


def new(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["new", *(str(argument) for argument in arguments)])


def test_an_empty_release_is_served_without_a_class_and_knows_nothing(blank_release: Path) -> None:
    release = Release.open(blank_release)
    predictor = Predictor(release, threads=1)
    found = predictor.predict(Textures()[0].image)
    assert len(found.segments.areas) > 3
    assert not found.known.any()
    assert set(found.vote.class_ids.tolist()) == {NO_CLASS}
    assert np.isnan(found.confidence).all()
    assert release.card.classes == []
    assert len(release.exemplars) == 0
    assert release.sources == []
    assert not release.card.calibration.calibrated


def test_an_empty_release_has_an_identity_head_over_its_features(
    blank_release: Path, filter_features: OpenedFeatures
) -> None:
    release = Release.open(blank_release)
    assert release.card.head is not None
    assert (release.card.head.kind, release.card.head.groups) == ("identity", ["filters"])
    assert release.card.features == filter_features.source.info
    assert release.card.licence == {"network": {"features": "computed"}, "exemplars": "none"}
    assert release.card.provenance["features"] == "filters"
    assert release.attachments.keys() == {FEATURES, HEAD}
    head, statistics, _ = load_head(release.attachments[HEAD])
    assert (head.kind, head.dimension) == ("identity", release.card.network.dimension)
    np.testing.assert_allclose(statistics.scale, filter_features.statistics.scale)


def test_an_empty_release_over_a_fitted_one_forgets_the_head(
    texture_release: Path, filter_features: OpenedFeatures, tmp_path: Path
) -> None:
    head, _, _ = load_head(Release.open(texture_release).attachments[HEAD])
    release = write_new(tmp_path / "fresh", filter_features._replace(head=head), name="fresh")
    assert release.card.head is not None
    assert release.card.head.kind == "identity"
    assert release.card.classes == []


def test_the_command_writes_into_the_data_folder_and_says_where(
    blank_release: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEGSORT_DATA_DIR", str(tmp_path / "data"))
    made = new("mine", "--features", blank_release, "--working-size", 96, "--description", "my weeds")
    assert made.exit_code == 0, made.output
    assert made.stdout == f"{tmp_path / 'data' / 'releases' / 'mine'}\n"
    release = Release.open(tmp_path / "data" / "releases" / "mine")
    assert (release.card.name, release.card.description) == ("mine", "my weeds")
    assert release.card.preprocessing.working_size == 96
    assert ReleaseStore([tmp_path / "data" / "releases"]).resolve("mine") == release.path
    other = new("other", "--features", blank_release, "--out", tmp_path / "there")
    assert other.stdout == f"{tmp_path / 'there'}\n"
    assert Release.open(tmp_path / "there").card.name == "other"


def test_general_is_what_an_empty_release_has_unless_told_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEGSORT_DATA_DIR", str(tmp_path))
    assert new("mine").exit_code == 0
    card = Release.open(tmp_path / "releases" / "mine").card
    assert card.features is not None
    assert card.features.name == "general"
    assert card.classes == []


def test_what_cannot_be_made_is_refused_and_leaves_nothing(
    blank_release: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEGSORT_DATA_DIR", str(tmp_path / "data"))
    for arguments, said in (
        (["mine", "--features", "nowhere"], "nowhere"),
        (["mine", "--features", "streets"], "has no features.onnx"),
        (["general", "--features", blank_release], "a release named 'general' exists"),
        (["", "--features", blank_release], "name"),
        (["../mine", "--features", blank_release], "name"),
        (["mine", "--features", blank_release, "--working-size", 8], "working_size"),
    ):
        refused = new(*arguments)
        assert isinstance(refused.exception, ValueError), arguments
        assert said in str(refused.exception), arguments
        assert not refused.stdout
    assert not (tmp_path / "data").exists()


def test_a_release_is_never_overwritten(blank_release: Path, filter_features: OpenedFeatures) -> None:
    with pytest.raises(ReleaseError, match="exists, and a release is never overwritten"):
        write_new(blank_release, filter_features, name="blank")
