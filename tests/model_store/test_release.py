"""Releases are verified when they are opened. An error names the damaged file."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from model_store.release import Release, ReleaseError, read_digest, write_release


@pytest.fixture
def copy(tiny_release: Path, tmp_path: Path) -> Path:
    """A copy of the release that a test may damage."""
    return Path(shutil.copytree(tiny_release, tmp_path / "copy"))


def rewrite_checksums(folder: Path, file: str) -> None:
    """Update the checksum of a changed file, so that only reading its content can find the fault."""
    import hashlib

    listed = json.loads((folder / "checksums.json").read_text())
    listed[file] = hashlib.sha256((folder / file).read_bytes()).hexdigest()
    (folder / "checksums.json").write_text(json.dumps(listed))


def test_a_release_written_from_what_was_read_reads_the_same(tiny_release: Path, tmp_path: Path) -> None:
    first = Release.open(tiny_release)
    images = [(source.file, (tiny_release / source.file).read_bytes()) for source in first.sources]
    second = write_release(tmp_path / "b", first.card, first.network_path, first.exemplars, first.sources, images)
    assert second.card == first.card
    assert second.sources == first.sources
    assert second.exemplars.ids == first.exemplars.ids
    assert second.exemplars.masks == first.exemplars.masks
    for name in ("prototypes", "class_ids", "image_ids", "bboxes", "areas"):
        np.testing.assert_array_equal(getattr(second.exemplars, name), getattr(first.exemplars, name))
    assert (second.path / "network.onnx").read_bytes() == (first.path / "network.onnx").read_bytes()
    assert Release.open(second.path).index.ntotal == len(first.exemplars)


def test_a_release_says_what_it_is_made_of(tiny_release: Path) -> None:
    card = Release.open(tiny_release).card
    assert card.data["exemplars"]["dataset"] == "blocks/train"
    assert sum(card.data["exemplars"]["exemplars_per_class"].values()) == card.data["exemplars"]["exemplars"]
    assert card.training
    assert card.provenance
    assert card.format_version == 1


@pytest.mark.parametrize(
    "file",
    [
        "card.json",
        "network.onnx",
        "index.faiss",
        "exemplars.npz",
        "sources.json",
        "checksums.json",
        "images/00000.webp",
    ],
)
@pytest.mark.parametrize("damage", ["missing", "cut short", "one byte altered", "empty"])
def test_a_damaged_file_is_refused_by_name(copy: Path, file: str, damage: str) -> None:
    path = copy / file
    content = path.read_bytes()
    if damage == "missing":
        path.unlink()
    elif damage == "cut short":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "empty":
        path.write_bytes(b"")
    else:
        middle = len(content) // 2
        path.write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])
    with pytest.raises(ReleaseError) as refused:
        Release.open(copy)
    # an altered list of checksums may accuse any file, but it accuses one
    assert file in str(refused.value) or (file == "checksums.json" and str(copy) in str(refused.value))


def test_a_file_that_is_not_listed_is_refused_by_name(copy: Path) -> None:
    (copy / "images" / "extra.webp").write_bytes(b"x")
    with pytest.raises(ReleaseError, match=r"images/extra\.webp is not listed"):
        Release.open(copy)


def edit_json(change: Callable[[dict], None]) -> Callable[[Path], None]:
    def edit(file: Path) -> None:
        content = json.loads(file.read_text())
        change(content)
        file.write_text(json.dumps(content))

    return edit


@pytest.mark.parametrize(
    ("file", "edit", "said"),
    [
        (
            "card.json",
            edit_json(lambda card: card.update(format_version=99)),
            "format_version 99, but this software reads 1",
        ),
        ("card.json", edit_json(lambda card: card.pop("classes")), "field classes"),
        ("card.json", edit_json(lambda card: card["retrieval"].update(k=0)), r"field retrieval\.k"),
        ("card.json", edit_json(lambda card: card["classes"].pop()), r"exemplars\.npz has class_ids"),
        (
            "card.json",
            edit_json(lambda card: card["network"].update(dimension=8)),
            "the 8 dimensions of the network",
        ),
        ("sources.json", edit_json(lambda sources: sources[0].update(file="../away.webp")), r"\.\./away\.webp"),
        ("sources.json", edit_json(lambda sources: sources[0].pop("width")), r"sources\.json is not a list of images"),
        ("sources.json", edit_json(lambda sources: sources.pop()), r"exemplars\.npz has image_ids"),
    ],
)
def test_contents_that_do_not_agree_are_refused(copy: Path, file: str, edit: Callable[[Path], None], said: str) -> None:
    edit(copy / file)
    rewrite_checksums(copy, file)
    with pytest.raises(ReleaseError, match=said):
        Release.open(copy)


def test_an_image_that_is_named_but_neither_there_nor_listed_is_refused(copy: Path) -> None:
    (copy / "images" / "00001.webp").unlink()
    listed = json.loads((copy / "checksums.json").read_text())
    del listed["images/00001.webp"]
    (copy / "checksums.json").write_text(json.dumps(listed))
    with pytest.raises(ReleaseError, match=r"images/00001\.webp is missing, though sources\.json names it"):
        Release.open(copy)


@pytest.mark.parametrize("file", ["card.json", "network.onnx", "index.faiss", "exemplars.npz", "sources.json"])
def test_a_file_whose_checksum_is_not_listed_is_refused_by_name(copy: Path, file: str) -> None:
    listed = json.loads((copy / "checksums.json").read_text())
    del listed[file]
    (copy / "checksums.json").write_text(json.dumps(listed))
    with pytest.raises(ReleaseError, match=rf"checksums\.json does not list {file}"):
        Release.open(copy)


def test_prototypes_that_are_no_numbers_are_refused(copy: Path) -> None:
    exemplars = Release.open(copy).exemplars
    exemplars.prototypes[3, 1] = np.nan
    exemplars.save(copy / "exemplars.npz")
    rewrite_checksums(copy, "exemplars.npz")
    with pytest.raises(ReleaseError, match=r"exemplars\.npz has prototypes with values that are not finite"):
        Release.open(copy)


def test_without_verification_only_what_is_read_is_checked(copy: Path) -> None:
    (copy / "network.onnx").write_bytes(b"")
    assert len(Release.open(copy, verify=False).exemplars) == 60
    (copy / "exemplars.npz").write_bytes(b"")
    with pytest.raises(ReleaseError, match=r"exemplars\.npz cannot be read"):
        Release.open(copy, verify=False)


def test_an_index_of_other_exemplars_is_refused(copy: Path) -> None:
    from model_store.index import ExemplarIndex

    ExemplarIndex.build(Release.open(copy).exemplars.prototypes[1:]).save(copy / "index.faiss")
    rewrite_checksums(copy, "index.faiss")
    with pytest.raises(ReleaseError, match=r"index\.faiss: the index holds"):
        _ = Release.open(copy).index


def test_a_release_without_exemplars_and_classes_is_opened(empty_release: Path) -> None:
    blank = Release.open(empty_release)
    assert (len(blank.exemplars), blank.sources, blank.card.classes, blank.rows) == (0, [], [], {})
    assert blank.exemplars.prototypes.shape == (0, blank.card.network.dimension)
    assert blank.index.ntotal == 0
    assert blank.card.calibration.calibrated is False


def test_files_for_adapting_are_part_of_a_release(tiny_release: Path, tmp_path: Path) -> None:
    opened = Release.open(tiny_release)
    assert opened.attachments == {}
    images = [(source.file, (tiny_release / source.file).read_bytes()) for source in opened.sources]
    (tmp_path / "values").write_bytes(b"weights")
    attachments = {"head.npz": tmp_path / "values", "features.onnx": opened.network_path}
    out = tmp_path / "with"
    found = write_release(
        out, opened.card, opened.network_path, opened.exemplars, opened.sources, images, attachments
    ).attachments
    assert found == {"features.onnx": out / "features.onnx", "head.npz": out / "head.npz"}
    assert found["head.npz"].read_bytes() == b"weights"
    (out / "head.npz").write_bytes(b"weightz")
    with pytest.raises(ReleaseError, match=r"head.npz was altered or truncated"):
        Release.open(out)


def test_a_release_is_never_overwritten_and_a_failed_one_leaves_nothing(tiny_release: Path, tmp_path: Path) -> None:
    release = Release.open(tiny_release)
    (tmp_path / "taken").mkdir()
    with pytest.raises(ReleaseError, match="taken exists"):
        write_release(tmp_path / "taken", release.card, release.network_path, release.exemplars, release.sources, [])

    def broken() -> object:
        yield "images/00000.webp", b"x"
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_release(
            tmp_path / "new",
            release.card,
            release.network_path,
            release.exemplars,
            release.sources,
            broken(),  # type: ignore[arg-type]
        )
    assert [entry.name for entry in tmp_path.iterdir()] == ["taken"]


def test_what_is_no_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ReleaseError, match="nowhere is not a folder"):
        Release.open(tmp_path / "nowhere")


def test_an_image_that_a_release_lacks_is_refused(tiny_release: Path) -> None:
    with pytest.raises(ValueError, match="image_id=-1"):
        Release.open(tiny_release).image_path(-1)


def change_card(folder: Path, **changes: object) -> Path:
    card = json.loads((folder / "card.json").read_text())
    (folder / "card.json").write_text(json.dumps(card | changes, indent=1))
    rewrite_checksums(folder, "card.json")
    return folder


def test_the_digest_of_a_release_is_that_of_its_content(tiny_release: Path, copy: Path) -> None:
    opened = Release.open(tiny_release)
    assert len(opened.digest) == 64
    assert opened.digest == Release.open(copy).digest == read_digest(copy)  # the folder does not matter
    described = {"description": "better", "created": "2020-01-01", "metrics": {"miou": 0.5}, "licence": {}}
    assert Release.open(change_card(copy, **described)).digest == opened.digest


def test_a_field_of_the_card_that_a_later_version_adds_does_not_change_the_digest(copy: Path) -> None:
    """The digest is that of the fields as they were written, not of those that this version fills in."""
    before = read_digest(copy)
    card = json.loads((copy / "card.json").read_text())
    del card["sorting"]["precision"]
    (copy / "card.json").write_text(json.dumps(card))
    rewrite_checksums(copy, "card.json")
    without = read_digest(copy)
    assert without != before
    assert Release.open(copy).card.sorting.precision == "int8"
    assert Release.open(copy).digest == without


@pytest.mark.parametrize("changed", ["name", "class", "kappa", "threshold", "network", "exemplars", "image"])
def test_whatever_decides_results_changes_the_digest(copy: Path, changed: str) -> None:
    before, card = Release.open(copy), json.loads((copy / "card.json").read_text())
    if changed == "name":  # two empty releases of equal content are taught apart
        change_card(copy, name="other")
    elif changed == "class":
        change_card(copy, classes=[card["classes"][0] | {"name": "wall"}, *card["classes"][1:]])
    elif changed == "kappa":
        change_card(copy, retrieval=card["retrieval"] | {"kappa": 11.0})
    elif changed == "threshold":
        change_card(copy, calibration=card["calibration"] | {"known_threshold": 0.125})
    elif changed == "exemplars":
        before.exemplars.class_ids[0] = 1 - before.exemplars.class_ids[0] % 2
        before.exemplars.save(copy / "exemplars.npz")
        rewrite_checksums(copy, "exemplars.npz")
    else:
        file = "network.onnx" if changed == "network" else "images/00001.webp"
        (copy / file).write_bytes((copy / file).read_bytes() + b"\0")
        rewrite_checksums(copy, file)
    assert read_digest(copy) != before.digest


def test_a_release_keeps_the_digest_that_it_was_opened_with(copy: Path) -> None:
    opened = Release.open(copy)
    before = opened.digest
    shutil.rmtree(copy)
    assert opened.digest == before
