"""A release written from a live state gives equal answers, and has no removed exemplars."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from model_store.card import ClassInfo
from model_store.explanation import exemplar_facts
from model_store.live import AddedExemplar, LiveExemplars
from model_store.predictor import Predictor
from model_store.release import Release, ReleaseError, write_release
from model_store.snapshot_release import write_live
from segsort.masks import decode_rle, encode_rle
from tests.conftest import Blocks

FIRST = ClassInfo(class_id=0, name="kerb", color=(9, 8, 7))
KERB = ClassInfo(class_id=3, name="kerb", color=(1, 2, 3))
IMAGE = np.asarray(Blocks("val", count=9)[8].image)


def png(image: np.ndarray, orientation: int | None = None) -> bytes:
    buffer, exif = io.BytesIO(), Image.Exif()
    if orientation is not None:
        exif[0x0112] = orientation
    Image.fromarray(image).save(buffer, "PNG", exif=exif)
    return buffer.getvalue()


def added(name: str, prototype: np.ndarray, class_id: int, strength: float = 1.0, image_id: str = "a") -> AddedExemplar:
    labels = np.full(IMAGE.shape[:2], -1, dtype=np.int32)
    labels[3:9, 10:30] = 0
    size = {"width": IMAGE.shape[1], "height": IMAGE.shape[0]}
    box, mask = (10, 3, 20, 6), encode_rle(labels, 1)[0]
    return AddedExemplar(
        name, prototype, class_id, strength, image_id, f"shown/{image_id}", bbox=box, area=120, mask=mask, **size
    )


@pytest.fixture
def state(tiny_release: Path) -> LiveExemplars:
    """A state with removed exemplars, among them all of one image, and five added: one strong, one removed again."""
    release = Release.open(tiny_release)
    ids, prototypes = release.exemplars.ids, release.exemplars.prototypes
    gone = [name for name, image in zip(ids, release.exemplars.image_ids, strict=True) if image == 2]
    new = [
        added("0000000000000001", prototypes[0], 3, 4.0),
        added("0000000000000002", prototypes[1], 3),
        added("0000000000000003", prototypes[2], 0, image_id="b"),
        added("0000000000000004", prototypes[3], 1, image_id="b"),
        added("0000000000000005", prototypes[4], 1, image_id="gone"),
    ]
    live = LiveExemplars.of_release(release).edited(3, added=new, classes=[*release.card.classes, KERB])
    return live.edited(7, alive={name: False for name in [*gone, ids[0], new[4].exemplar_id]})


def contents(image_id: str) -> bytes:
    """The file of an image. Image b is stored rotated, with its EXIF orientation."""
    return {"a": png(IMAGE), "b": png(np.rot90(IMAGE), orientation=6)}[image_id]


def test_the_new_release_answers_as_the_live_state(state: LiveExemplars, tmp_path: Path) -> None:
    written = Release.open(write_live(state, tmp_path / "new", contents).path)
    assert written.card.name == "new"
    predictor, other = Predictor(state.release, threads=1), Predictor(written, threads=1)
    for i in range(3):
        image = Blocks("val")[i].image
        before, after = predictor.predict(image, state=state), other.predict(image)
        np.testing.assert_array_equal(before.similarities, after.similarities)
        np.testing.assert_array_equal(before.vote.shares, after.vote.shares)
        assert [state.ids(rows) for rows in before.rows] == [other.as_built.ids(rows) for rows in after.rows]
        np.testing.assert_array_equal(before.confidence, after.confidence)


def test_exemplars_keep_what_they_are(state: LiveExemplars, tmp_path: Path) -> None:
    written = LiveExemplars.of_release(write_live(state, tmp_path / "new", contents, name="ours"))
    assert written.release.card.name == "ours"
    assert written.count == state.count == len(written.release.exemplars)
    assert written.ids(written.alive_rows()) == state.ids(state.alive_rows())
    for row, before in enumerate(state.alive_rows().tolist()):
        assert exemplar_facts(written, row) == exemplar_facts(state, before)
    assert written.strengths(np.array([written.row("0000000000000001"), 0])).tolist() == [4, 1]
    assert written.row(state.release.exemplars.ids[0]) is None


def test_images_are_those_of_the_exemplars_left(state: LiveExemplars, tmp_path: Path) -> None:
    written = write_live(state, tmp_path / "new", contents)
    old = {source.source: state.release.path / source.file for source in state.release.sources}
    left = [name for n, name in enumerate(old) if n != 2]
    assert [source.source for source in written.sources] == [*left, "shown/a", "shown/b"]
    assert {file.name for file in (written.path / "images").iterdir()} == {
        f"{n:05d}.webp" for n in range(len(written.sources))
    }
    for n, source in enumerate(written.sources):
        with Image.open(written.image_path(n)) as image:
            assert image.size == (source.width, source.height)
            pixels = np.asarray(image.convert("RGB")).astype(int)
        if source.source in old:
            assert written.image_path(n).read_bytes() == old[source.source].read_bytes()
        else:
            assert np.abs(pixels - IMAGE).mean() < 12, "upright, whatever its EXIF orientation"
    row = written.exemplars.ids.index("0000000000000003")
    source = written.sources[int(written.exemplars.image_ids[row])]
    assert source.source == "shown/b"
    assert decode_rle(written.exemplars.masks[row], (source.height, source.width)).sum() == 120


def test_classes_keep_their_numbers_and_retired_ones_stay_retired(state: LiveExemplars, tmp_path: Path) -> None:
    ids = state.ids(state.rows_of_class(3))
    again = ClassInfo(class_id=4, name="kerb", color=(9, 9, 9))
    later = state.edited(8, alive=dict.fromkeys(ids, False), classes=[*state.classes, again], retired={3})
    written = LiveExemplars.of_release(write_live(later, tmp_path / "new", contents))
    assert [info.name for info in written.classes] == ["brick", "grass", "water", "kerb (retired)", "kerb"]
    assert (written.retired, written.classes[4]) == (frozenset({3}), again)
    assert written.counts_per_class.tolist() == later.counts_per_class.tolist()


def test_the_card_says_where_it_comes_from_and_claims_no_figures(state: LiveExemplars, tmp_path: Path) -> None:
    old = state.release
    images = [(source.file, (old.path / source.file).read_bytes()) for source in old.sources]
    measured = old.card.model_copy(update={"metrics": {"miou": 0.9}})
    base = write_release(tmp_path / "old", measured, old.network_path, old.exemplars, old.sources, images)
    live = LiveExemplars.of_release(base).edited(2, alive={base.exemplars.ids[5]: False})
    card = write_live(live, tmp_path / "new", contents).card
    edited = card.data["edited"]
    assert (edited["release"], edited["index_revision"], edited["exemplars"]) == ("tiny", 2, live.count)
    assert (edited["added"], edited["removed"]) == (0, 1)
    assert sum(edited["exemplars_per_class"].values()) == live.count
    assert card.metrics == {}
    assert card.calibration == old.card.calibration


PAINTED = {"exemplars": "painted: Apache-2.0", "weights": "Apache-2.0"}


def base(release: Release, out: Path) -> Release:
    """The release with a licence and a description that are about its own images."""
    images = [(source.file, (release.path / source.file).read_bytes()) for source in release.sources]
    card = release.card.model_copy(update={"licence": PAINTED, "description": "All painted."})
    return write_release(out, card, release.network_path, release.exemplars, release.sources, images)


def test_the_card_says_that_users_added_images(state: LiveExemplars, tmp_path: Path) -> None:
    painted = LiveExemplars.of_release(base(state.release, tmp_path / "painted"))
    new = [added("0000000000000001", state.release.exemplars.prototypes[0], 1)]
    card = (first := write_live(painted.edited(1, added=new), tmp_path / "first", contents)).card
    assert card.description == "Release tiny with images that users added. As built, without them: All painted."
    assert card.licence == {
        "exemplars": "as built, without added images: painted: Apache-2.0",
        "weights": "Apache-2.0",
        "added": "images that users added while release tiny was served; their licence was not stated",
    }
    assert card.network_licence() == {"weights": "Apache-2.0"}
    more = [added("0000000000000002", state.release.exemplars.prototypes[1], 1, image_id="b")]
    second = write_live(LiveExemplars.of_release(first).edited(1, added=more), tmp_path / "second", contents).card
    assert second.licence["exemplars"] == card.licence["exemplars"]
    assert second.licence["added"].startswith(card.licence["added"])
    assert "while release first was served" in second.licence["added"]
    assert second.description == card.description


def test_without_added_images_the_licence_stays(state: LiveExemplars, tmp_path: Path) -> None:
    painted = LiveExemplars.of_release(base(state.release, tmp_path / "painted"))
    fewer = painted.edited(1, alive={painted.release.exemplars.ids[0]: False})
    card = write_live(fewer, tmp_path / "fewer", contents).card
    assert (card.licence, card.description) == (PAINTED, "All painted.")


def test_without_strengths_the_file_has_no_such_column(state: LiveExemplars, tmp_path: Path) -> None:
    plain = state.edited(8, alive={"0000000000000001": False})
    assert write_live(plain, tmp_path / "plain", contents).exemplars.strengths is None
    assert write_live(state, tmp_path / "strong", contents).exemplars.strengths is not None
    with np.load(tmp_path / "plain" / "exemplars.npz") as arrays:
        assert "strengths" not in arrays


def test_an_image_too_long_for_webp_is_kept_as_png(state: LiveExemplars, tmp_path: Path) -> None:
    strip = np.random.default_rng(0).integers(0, 256, (2, 17_000, 3), dtype=np.uint8)
    wide = AddedExemplar(
        "0000000000000009", state.index.prototypes[9], 0, 1.0, "wide", "wide", 17_000, 2, (0, 0, 1, 1), 1, "04l`1"
    )
    longer = state.edited(8, added=[wide])
    written = write_live(longer, tmp_path / "new", lambda image: png(strip) if image == "wide" else contents(image))
    assert written.sources[-1].file.endswith(".png")
    with Image.open(written.image_path(len(written.sources) - 1)) as image:
        np.testing.assert_array_equal(np.asarray(image), strip)


def test_a_state_without_exemplars_is_written_as_an_empty_release(
    state: LiveExemplars, empty_release: Path, tmp_path: Path
) -> None:
    nothing = state.edited(8, alive=dict.fromkeys(state.ids(state.alive_rows()), False))
    written = Release.open(write_live(nothing, tmp_path / "new", contents).path)
    assert (len(written.exemplars), written.sources, written.index.ntotal) == (0, [], 0)
    assert [info.name for info in written.card.classes] == ["brick", "grass", "water", "kerb"]
    assert written.exemplars.prototypes.shape == (0, 32)
    blank = LiveExemplars.of_release(Release.open(empty_release))
    again = write_live(blank, tmp_path / "again", contents)
    assert (again.card.classes, len(again.exemplars)) == ([], 0)
    assert again.card.calibration == blank.release.card.calibration


def test_an_empty_release_that_was_taught_is_written_with_its_first_exemplars(
    empty_release: Path, tmp_path: Path
) -> None:
    blank = LiveExemplars.of_release(Release.open(empty_release))
    unit = np.zeros(32, dtype=np.float32)
    unit[3] = 1
    taught = blank.edited(1, added=[added("0000000000000001", unit, 0, 3.0)], classes=[FIRST])
    written = LiveExemplars.of_release(write_live(taught, tmp_path / "new", contents))
    assert (written.count, written.classes) == (1, (FIRST,))
    assert exemplar_facts(written, 0) == exemplar_facts(taught, 0)
    np.testing.assert_array_equal(written.search(unit[None], 5)[1], [[0]])


def test_what_cannot_be_written_leaves_nothing(state: LiveExemplars, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    for live, folder, images, message in (
        (state, "there", contents, "there exists, and a release is never overwritten"),
        (state, "new", lambda _: b"junk", "the image 'shown/a' cannot be decoded .The content is not an image"),
        (state, "new", lambda _: png(IMAGE[1:]), "'shown/a' has 96x71 pixels, but its exemplars state 96x72"),
    ):
        with pytest.raises(ReleaseError, match=message):
            write_live(live, tmp_path / folder, images)
        assert [entry.name for entry in tmp_path.iterdir()] == ["there"]
