"""A release that is built from labelled images segments other images of the same kind."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from command_line.main import cli
from index_builder.build import BuildOptions, Notes, build_release, with_card
from index_builder.clustering import Unlabelled as Clustered
from index_builder.datasets import IGNORE, Sample, licence_of, open_dataset, open_images
from index_builder.embedder_source import load_embedder_source
from index_builder.evaluation import evaluate
from model_store.card import RetrievalInfo
from model_store.predictor import Predictor
from model_store.release import Release, ReleaseError
from segsort.masks import decode_rle
from tests.conftest import BLOCK_CLASSES, Blocks


def test_every_exemplar_lies_in_its_class_and_its_image(tiny_release: Path) -> None:
    release = Release.open(tiny_release)
    exemplars = release.exemplars
    for row in range(len(exemplars)):
        source = release.sources[int(exemplars.image_ids[row])]
        sample = Blocks()[int(source.source.rsplit("/", 1)[1])]
        mask = decode_rle(exemplars.masks[row], (source.height, source.width))
        assert set(sample.labels[mask]) == {exemplars.class_ids[row]}
        assert mask.sum() == exemplars.areas[row]
        y, x = np.nonzero(mask)
        box = [x.min(), y.min(), x.max() - x.min() + 1, y.max() - y.min() + 1]
        assert exemplars.bboxes[row].tolist() == box
    kept = np.asarray(Image.open(release.image_path(0)).convert("RGB"))
    painted = Blocks()[int(release.sources[0].source.rsplit("/", 1)[1])].image
    assert np.abs(kept.astype(int) - painted).mean() < 20


def test_the_same_build_gives_the_same_exemplars(tiny_run: Path, tmp_path: Path) -> None:
    source, options = load_embedder_source(tiny_run), BuildOptions(max_exemplars=20)
    first, second = (build_release(Blocks(), source, tmp_path / name, options=options) for name in ("a", "b"))
    assert first.exemplars.ids == second.exemplars.ids
    assert len(first.exemplars) <= 20
    assert len(set(first.exemplars.ids)) == len(first.exemplars)


def test_a_release_is_the_source_of_another(tiny_release: Path, tmp_path: Path) -> None:
    options = BuildOptions(max_exemplars=30, retrieval=RetrievalInfo(k=3, index_factory="HNSW16"))
    built = build_release(Blocks("val"), load_embedder_source(tiny_release), tmp_path / "other", options=options)
    assert built.card.retrieval.k == 3
    assert built.card.sorting == Release.open(tiny_release).card.sorting
    assert evaluate(built, Blocks("train", count=3)).miou > 0.9


def test_evaluation_counts_what_the_predictor_says(tiny_release: Path) -> None:
    release, data = Release.open(tiny_release), Blocks("val", count=3)
    report = evaluate(release, data)
    predictor, confusion = Predictor(release), np.zeros((3, 3), dtype=int)
    for i in range(3):
        sample = data[i]
        known = sample.labels != IGNORE
        np.add.at(confusion, (sample.labels[known], predictor.predict(sample.image).class_map[known]), 1)
    assert report.confusion == confusion.tolist()
    assert report.pixel_accuracy == pytest.approx(confusion.trace() / confusion.sum())
    union = confusion.sum(0) + confusion.sum(1) - confusion.diagonal()
    assert report.miou == pytest.approx((confusion.diagonal() / union).mean())
    assert 0 <= report.ece <= 1
    assert report.images == 3


class Renamed(Blocks):
    """Blocks with one class under a name that the release does not have."""

    classes = (*BLOCK_CLASSES[:2], BLOCK_CLASSES[2].model_copy(update={"name": "lava"}))


class Unlabelled(Blocks):
    def __getitem__(self, i: int) -> Sample:
        sample = super().__getitem__(i)
        return sample._replace(labels=np.full_like(sample.labels, IGNORE))


def test_what_cannot_be_built_or_measured_is_said(tiny_release: Path, tiny_run: Path, tmp_path: Path) -> None:
    source = load_embedder_source(tiny_run)
    with pytest.raises(ValueError, match="release tiny has no class lava"):
        evaluate(Release.open(tiny_release), Renamed())
    with pytest.raises(ValueError, match="blocks"):
        build_release(Unlabelled(), source, tmp_path / "none")
    with pytest.raises(ValueError, match="exists, and a release is never overwritten"):
        build_release(Blocks(), source, tiny_release)
    with pytest.raises(ValueError, match="webp_quality=0"):
        BuildOptions(webp_quality=0)
    with pytest.raises(ValueError, match=r"'min_share': 1.5}: each must be at least 0 and below 1"):
        BuildOptions(min_share=1.5)
    assert not list(tmp_path.iterdir())


def test_a_card_can_be_changed_only_in_a_new_release(tiny_release: Path, tmp_path: Path) -> None:
    changed = with_card(Release.open(tiny_release), tmp_path / "changed", metrics={"miou": 0.5})
    assert changed.card.metrics == {"miou": 0.5}
    assert changed.exemplars.ids == Release.open(tiny_release).exemplars.ids
    with pytest.raises(ReleaseError, match="exists"):
        with_card(changed, tiny_release)


def test_build_and_evaluate_from_the_command_line(tiny_run: Path, blocks_folder: Path, tmp_path: Path) -> None:
    out, run = tmp_path / "mine", CliRunner()
    data = ["--dataset", "folder", "--root", str(blocks_folder)]
    options = ["--max-exemplars", "25", "--k", "4", "--segments", "9", "--balance", "1", "--name", "mine"]
    built = run.invoke(cli, ["build", *data, "--embedder", str(tiny_run), "--out", str(out), *options])
    assert built.exit_code == 0, built.output
    card = Release.open(out).card
    assert (card.name, card.retrieval.k, card.sorting.segments, card.data["exemplars"]["balance"]) == ("mine", 4, 9, 1)
    done = run.invoke(cli, ["evaluate", str(out), *data, "--json"])
    document = json.loads(done.stdout)
    assert document["miou"] > 0.9
    assert set(document["per_class"]) == {"brick", "grass", "water"}
    table = run.invoke(cli, ["evaluate", str(out), *data])
    assert all(name in table.stdout for name in ("brick", "grass", "water", "mean"))


PAINTED = {
    "exemplars": "painted by this project: Apache-2.0. No image of CamVid is in this release.",
    "weights": "MobileNetV2, Apache-2.0",
    "training data": "CamVid, non-commercial",
}


def test_the_card_of_own_images_states_their_licence_and_that_of_the_network_apart(
    tiny_release: Path, tmp_path: Path
) -> None:
    """The network comes from a release whose card states the licences of its network and its images."""
    painted = with_card(Release.open(tiny_release), tmp_path / "painted", licence=PAINTED, description="all painted")
    built = build_release(Blocks("val", 3), load_embedder_source(painted.path), tmp_path / "own")
    assert built.card.licence == {
        "exemplars": "images of blocks, provided by the user; their licence was not stated",
        "network": {"weights": PAINTED["weights"], "training data": PAINTED["training data"]},
    }
    assert built.card.provenance["images"] == "images of blocks"
    assert built.card.provenance["network of"] == f"the release tiny of {painted.card.created}"
    assert "painted" not in built.card.model_dump_json()
    again = build_release(Blocks("train", 3), load_embedder_source(built.path), tmp_path / "again")
    assert again.card.licence == built.card.licence


def test_stated_licences_are_on_the_card(tiny_run: Path, tmp_path: Path) -> None:
    stated = {"exemplars": "CC BY 4.0", "network": {"weights": "mine"}}
    notes = Notes(licence=stated, images="the microscope in room 3")
    card = build_release(Blocks("val", 3), load_embedder_source(tiny_run), tmp_path / "own", notes=notes).card
    assert card.licence == stated
    assert card.provenance["images"] == "the microscope in room 3"


def test_data_sets_say_whose_images_they_are(blocks_folder: Path) -> None:
    theirs = f"images of the folder {blocks_folder.name}, provided by the user; their licence was not stated"
    assert licence_of(open_dataset("folder", blocks_folder, "train")) == theirs
    assert licence_of(open_images("images", blocks_folder / "images", "train")).startswith(
        "images of the folder images"
    )
    assert licence_of(open_dataset("streets", None, "val", count=1)) == "painted by this project: Apache-2.0"
    assert licence_of(Clustered(open_dataset("folder", blocks_folder, "train"), 3)) == theirs
    assert licence_of(Clustered(open_dataset("streets", None, "val", count=1), 3)).endswith("Apache-2.0")


def test_an_image_that_gave_exemplars_does_not_vouch_for_itself_when_it_calibrates(
    tiny_run: Path, tmp_path: Path
) -> None:
    source = load_embedder_source(tiny_run)
    own = build_release(Blocks(count=6), source, tmp_path / "own")
    named = build_release(Blocks(count=6), source, tmp_path / "named", calibrate_with=Blocks(count=6))
    assert named.card.calibration.known_threshold == own.card.calibration.known_threshold
    assert named.card.calibration.confidence_y == own.card.calibration.confidence_y
