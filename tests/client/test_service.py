"""Operations of both clients against a running service."""

import io
import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO

from segsort_client import InputError, SegsortError, Stroke
from tests.client.conftest import Call
from tests.client.scripted import scripted
from tests.conftest import Blocks

IMAGE = Blocks("val")[1].image


@pytest.fixture(autouse=True)
def unchanged(address: str) -> Iterator[None]:
    """Every edit of a test is reverted after it."""
    with httpx.Client(base_url=address, timeout=60) as service:
        before = service.get("/readyz").json()["index_revision"]
        yield
        edits = service.get("/edits", params={"limit": 200}).json()
        for edit in edits:
            if edit["revision"] > before and edit["reverted_by"] is None and edit["kind"] != "revert":
                service.post(f"/edits/{edit['revision']}/revert")


def line(class_name: str, x: int, y: int) -> Stroke:
    return Stroke.line(class_name, [(x, y), (x + 10, y + 10)], 5)


def test_an_answer_covers_the_image_and_names_its_exemplars(call: Call) -> None:
    answer = call("segment", IMAGE, name="blocks")
    assert (answer.height, answer.width) == IMAGE.shape[:2]
    assert answer.name == "blocks"
    assert sum(segment.mask.astype(int) for segment in answer).min() == 1
    assert len(answer) == len(answer.segments) > 3
    for segment in answer:
        assert segment.mask.sum() == segment.area
        assert segment.exemplars[0].similarity > 0.5
    assert answer.timings_ms.total > 0
    assert call("segmentation", answer.segmentation_id).segments == answer.segments
    assert call("segment_again", answer).name == "blocks"


def test_the_client_fetches_an_image_by_its_url(call: Call) -> None:
    file = io.BytesIO()
    Image.fromarray(IMAGE).save(file, "PNG")
    with scripted([(200, {"Content-Type": "text/plain"}, file.getvalue())]) as elsewhere:
        answer = call("segment", f"{elsewhere.address}/a%20b/cells%207.png?token=1")
        assert (answer.name, answer.width) == ("cells 7.png", IMAGE.shape[1])
        assert elsewhere.requests[0][1] == "/a%20b/cells%207.png?token=1"
    with scripted([(404, {}, b"gone")]) as elsewhere, pytest.raises(SegsortError) as caught:
        call("segment", f"{elsewhere.address}/cells.png?token=secret")
    assert "HTTP 404" in str(caught.value)
    assert "secret" not in str(caught.value)
    with pytest.raises(SegsortError, match=r"could not be fetched|not valid"):
        call("segment", "http://[::1/cells.png")


def test_options_of_an_answer_are_those_of_the_request(call: Call) -> None:
    answer = call("segment", IMAGE, segments=4, k=1, exemplars=1, masks="none", min_index_revision=0)
    assert len(answer) < 9
    assert all(len(segment.exemplars) == 1 and segment.shape is None for segment in answer)
    with pytest.raises(InputError, match='masks="rle"'):
        _ = answer.segments[0].mask
    outlined = call("segment", IMAGE, masks="polygon")
    assert len(outlined.segments[0].shape.polygons[0]) > 3
    with pytest.raises(InputError, match="outlines"):
        outlined.to_label_map()


def test_a_label_map_has_the_class_of_each_pixel(call: Call, address: str) -> None:
    answer = call("segment", IMAGE)
    file = io.BytesIO()
    Image.fromarray(IMAGE).save(file, "PNG")
    drawn = httpx.post(
        f"{address}/segment", content=file.getvalue(), headers={"Accept": "image/png"}, timeout=60
    ).content
    expected = np.asarray(Image.open(io.BytesIO(drawn))).astype(int)
    assert (answer.to_label_map() == np.where(expected == 255, -1, expected)).all()
    places = answer.to_label_map("segment")
    for place, segment in enumerate(answer):
        assert ((places == place) == segment.mask).all()
    known = answer.to_label_map(known_only=True)
    assert {-1} | set(np.unique(known)) <= {-1} | {one.class_id for one in answer if one.known}
    with pytest.raises(InputError, match="class_id"):
        answer.to_label_map("name")


def test_a_coco_document_opens_in_pycocotools(call: Call, tmp_path: Path) -> None:
    answer = call("segment", IMAGE, name="a.png")
    (tmp_path / "a.json").write_text(json.dumps(answer.to_coco()))
    coco = COCO(tmp_path / "a.json")
    assert coco.loadImgs(1)[0]["file_name"] == "a.png"
    names = {one["id"]: one["name"] for one in coco.loadCats(coco.getCatIds())}
    for segment, found in zip(answer, coco.loadAnns(coco.getAnnIds()), strict=True):
        assert (coco.annToMask(found).astype(bool) == segment.mask).all()
        assert names[found["category_id"]] == segment.class_name
        assert (found["area"], tuple(found["bbox"])) == (segment.area, segment.bbox)


def test_a_coco_document_is_that_of_the_export(call: Call) -> None:
    answer = call("segment", IMAGE, name="a.png")
    ours = answer.to_coco(known_only=True)
    theirs = json.loads(call("export", "coco", [answer], single=True).content)
    keys = ("category_id", "segmentation", "bbox", "area")
    assert [[one[key] for key in keys] for one in ours["annotations"]] == [
        [one[key] for key in keys] for one in theirs["annotations"]
    ]
    categories = [{key: one[key] for key in ("id", "name")} for one in theirs["categories"]]
    assert [{key: one[key] for key in ("id", "name")} for one in ours["categories"]] == categories
    assert theirs["images"][0]["file_name"] == "a.png"


def test_detections_are_those_of_supervision(call: Call) -> None:
    sv = pytest.importorskip("supervision")
    answer = call("segment", IMAGE)
    found = answer.to_supervision()
    assert len(found) == len(answer)
    for place, segment in enumerate(answer):
        assert (found.mask[place] == segment.mask).all()
        assert found.data["class_name"][place] == segment.class_name
        assert found.class_id[place] == segment.class_id
        x, y, width, height = segment.bbox
        assert tuple(found.xyxy[place]) == (x, y, x + width, y + height)
    assert len(found[found.data["known"]]) == len(answer.to_supervision(known_only=True))
    assert sv.MaskAnnotator().annotate(IMAGE.copy(), found).shape == IMAGE.shape


def test_a_label_is_explained_by_the_exemplars_that_voted(call: Call) -> None:
    answer = call("segment", IMAGE)
    explanation = call("explain", answer.segments[0])
    assert explanation.class_name == answer.segments[0].class_name
    assert explanation.exemplars[0].exemplar_id == answer.segments[0].exemplars[0].exemplar_id
    assert sum(voter.weight for voter in explanation.exemplars) == pytest.approx(1, abs=1e-4)
    assert (explanation.mask == answer.segments[0].mask).all()
    assert explanation.exemplars[0].mask.any()
    for name in ("crop", "exemplar_crop", "exemplar_image", "image"):
        of = {"crop": answer.segments[0], "image": answer}.get(name, explanation.exemplars[0])
        assert Image.open(io.BytesIO(call(name, of))).size > (0, 0)
    assert max(Image.open(io.BytesIO(call("image", answer, size=64))).size) == 64


def test_a_correction_makes_a_class_that_the_next_answer_has(call: Call) -> None:
    answer = call("segment", IMAGE)
    edited = call("label", answer.segments[0], "moss", color="#11aa22", reason="a test")
    assert edited.edit.reason == "a test"
    assert {change.after for change in edited.relabelled.changed} >= {"moss"}
    again = call("segment", IMAGE, min_index_revision=edited.index_revision)
    assert any(segment.class_name == "moss" for segment in again)
    assert [one.color for one in call("classes") if one.name == "moss"] == ["#11aa22"]
    assert call("label", answer.segments[0], "moss").edit is None
    assert call("effect", edited).answers > 0
    reverted = call("revert", edited, reason="enough")
    assert reverted.edit.reverts == edited.edit.revision
    assert call("edit", edited.edit.revision).reverted_by == reverted.edit.revision
    assert call("relabel", again).relabelled_from == again.segmentation_id


def test_strokes_lines_areas_and_masks_mark_their_pixels(call: Call) -> None:
    answer = call("segment", IMAGE)
    mask = np.zeros(IMAGE.shape[:2], dtype=bool)
    mask[30:40, 60:80] = True
    strokes = [
        line("moss", 5, 5),
        Stroke.area("slate", [(30, 5), (45, 5), (45, 20), (30, 20)]),
        Stroke.of_mask("slate", mask),
        {"class_name": "moss", "points": [[80, 60]], "width": 4},
    ]
    preview = call("preview", answer, strokes)
    assert preview.relabelled.changed
    assert "moss" not in {one.name for one in call("classes")}
    marked = call("mark", answer, strokes, labels={answer.segments[2].segment_id: "moss"}, scope="image")
    assert marked.edit.scope == "image"
    assert {one.name for one in marked.classes} == {"moss", "slate"}
    assert sum(one.area for one in marked.exemplars if one.class_name == "slate") == 15 * 15 + 10 * 20
    assert marked.relabelled.to_label_map()[35, 70] == {one.name: one.class_id for one in marked.classes}["slate"]
    assert call("mark", answer, labels=[(answer.segments[2], "moss")], scope="image").exemplars[0].added is False


def test_several_segments_are_labelled_in_one_edit(call: Call) -> None:
    answer = call("segment", IMAGE)
    edited = call("label_many", [(one, "moss") for one in answer.segments[:3]], reason="all of them")
    assert len(edited.exemplars) == 3
    assert edited.edit.reason == "all of them"


def test_a_labelled_image_adds_exemplars(call: Call) -> None:
    labels = np.zeros(IMAGE.shape[:2], dtype=np.int64)
    labels[:30, :30], labels[40:, 40:] = 1, 300
    added = call("add_exemplar", IMAGE, mask=labels, classes={1: "moss", 300: "slate"}, source="mine", segments=9)
    assert {one.class_name for one in added.exemplars} == {"moss", "slate"}
    assert sum(one.area for one in added.exemplars) == int((labels > 0).sum())
    again = call("add_exemplar", IMAGE, mask=labels, classes={1: "moss", 300: "slate"}, source="mine", segments=9)
    assert again.already == len(added.exemplars)
    answer = call("segment", IMAGE)
    marked = call("add_exemplar", segmentation=answer, strokes=[line("slate", 60, 10)])
    assert marked.relabelled.relabelled_from == answer.segmentation_id
    assert call("add_exemplar", segmentation=answer, strokes=[line("slate", 70, 50)], relabel=False).relabelled is None
    coco = call("segment", IMAGE).to_coco()
    of_coco = call("add_exemplar", IMAGE, annotations=coco["annotations"], categories=coco["categories"])
    assert len(of_coco.exemplars) >= 3
    with pytest.raises(InputError, match="0 to 65535"):
        call("add_exemplar", IMAGE, mask=labels - 1, classes={1: "moss"})
    with pytest.raises(SegsortError, match="has no file"):
        call("add_exemplar", strokes=[line("moss", 5, 5)])


def test_exemplars_are_listed_relabelled_and_removed(call: Call) -> None:
    page = call("exemplars", limit=2, offset=1)
    assert page.total > len(page.exemplars) == 2
    first, second = page.exemplars
    assert call("exemplar", first).mask.sum() == first.area
    assert call("preview_exemplars", remove=[first], relabel={second.exemplar_id: "moss"}).index_revision >= 0
    edited = call("relabel_exemplars", {second.exemplar_id: "moss"})
    assert edited.exemplars[0].class_name == "moss"
    assert call("exemplars", query=edited.exemplars[0].exemplar_id).total == 1
    assert call("remove_exemplar", first, reason="blurred").edit.kind == "remove"
    assert call("exemplars", removed=True, query=first.exemplar_id).total == 1
    undone = call("undo")
    assert call("edit", undone.edit.reverts).reason == "blurred"
    assert call("remove_exemplars", [first]).already == 0
    assert call("exemplars", removed=True, query=first.exemplar_id).total == 1
    for kind in ("contradicted", "duplicates", "thin", "corrections"):
        assert call("audit", kind, limit=3).kind == kind


def test_undo_reverts_what_is_in_effect_and_then_what_was_before_it(call: Call) -> None:
    first, second = call("add_class", "moss", "#010203"), call("add_class", "slate")
    assert first.info.color == "#010203"
    changed = call("change_class", first.info.class_id, name="lichen")
    assert call("undo").edit.reverts == changed.edit.revision
    assert call("undo").edit.reverts == second.edit.revision
    assert call("undo", reason="all of it").edit.reverts == first.edit.revision
    assert {one.name for one in call("classes")}.isdisjoint({"moss", "slate", "lichen"})


def test_answers_are_listed_pinned_and_deleted(call: Call) -> None:
    answers = [call("segment", IMAGE) for _ in range(3)]
    page = call("segmentations", limit=2)
    assert [one.segmentation_id for one in page] == [one.segmentation_id for one in reversed(answers[1:])]
    assert call("segmentations", limit=1, before=page[-1])[0].segmentation_id == answers[0].segmentation_id
    call("pin", answers[0])
    assert call("segmentations", limit=3)[2].pinned
    call("unpin", answers[0])
    assert not call("segmentations", limit=3)[2].pinned
    call("delete", answers[0])
    with pytest.raises(SegsortError) as caught:
        call("segmentation", answers[0].segmentation_id)
    assert caught.value.status == 404
    other = call("segment", Blocks("val")[0].image)
    call("delete", page[0], image=True)
    left = {one.image_id for one in call("segmentations", latest=True)}
    assert other.image_id in left
    assert answers[1].image_id not in left


def test_what_to_label_next(call: Call) -> None:
    answer = call("segment", Blocks("val")[2].image)
    assert call("suggestions", limit=3).images >= 1
    skipped = call("suggestions", limit=20, skip=[answer]).suggestions
    assert answer.image_id not in {one.image_id for one in skipped}
    assert call("clusters", limit=2, members=2).clusters_found >= 0
