"""The page of an explanation says what the JSON says, in sentences, and escapes every value."""

import html
import json
import re
from typing import Any

import pytest
from fastapi.testclient import TestClient
from jinja2 import UndefinedError

from service.explaining.page import explanation_page, percent


@pytest.fixture
def explanations(client: TestClient, photo: bytes) -> list[dict[str, Any]]:
    segments = client.post("/segment?k=30", content=photo).raise_for_status().json()["segments"]
    return [client.get(f"/explain/{segment['segment_id']}").json() for segment in segments]


@pytest.fixture
def disputed(explanations: list[dict[str, Any]]) -> dict[str, Any]:
    """An explanation with votes for several classes and a flip set."""
    return next(one for one in explanations if one["runner_up"] and one["flip_set"])


def text_of(page: str) -> str:
    """The words of a page, without tags and style."""
    words = re.sub(r"<[^>]*>", " ", re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL))
    return " ".join(html.unescape(words).split())


def test_the_page_states_the_vote_of_every_class(disputed: dict[str, Any]) -> None:
    text = text_of(explanation_page(disputed))
    for entry in disputed["vote"]["classes"]:
        assert f"{entry['class_name']} {percent(entry['weight'])}" in text
    second = disputed["runner_up"]
    name, share = disputed["class_name"], disputed["share"]
    assert f"{name} has {percent(share)} of the vote, and the next class, {second['class_name']}, has" in text
    assert f"Why not {second['class_name']}?" in text


def test_without_another_class_the_page_says_so(disputed: dict[str, Any]) -> None:
    alone = disputed | {"runner_up": None, "flip_set": None}
    text = text_of(explanation_page(alone))
    assert "All exemplars that voted have this class." in text
    assert "Why not" not in text
    without = text_of(explanation_page(alone | {"reserve": []}))
    assert "This is not known: no further exemplars were recorded" in without
    reserve = disputed["exemplars"][:3]
    stays = f"The label stays {disputed['class_name']} even without 3 of the exemplars nearest to the segment."
    assert stays in text_of(explanation_page(alone | {"reserve": reserve}))


def test_the_flip_set_is_shown_by_its_images_and_not_by_ids(disputed: dict[str, Any]) -> None:
    ranked = disputed["exemplars"] + disputed["reserve"]
    for count in (1, 2):
        ids = [one["exemplar_id"] for one in ranked[:count]]
        page = explanation_page(disputed | {"flip_set": ids})
        section = page[page.index("What would change the label?") : page.index("The boundary of the segment")]
        assert section.count("<figure") == count
        assert all(one["crop_url"] in section for one in ranked[:count])
        assert not any(one in text_of(page) for one in ids)
    assert "Removing one exemplar changes the label:" in text_of(explanation_page(disputed | {"flip_set": ids[:1]}))
    assert "Removing these 2 exemplars changes the label. Removing fewer does not:" in text_of(page)


def test_what_happened_after_the_answer_is_marked(disputed: dict[str, Any]) -> None:
    exemplars = json.loads(json.dumps(disputed["exemplars"]))
    exemplars[0] |= {"removed_in": 7, "strength": 12.0, "added_in": 5, "author": "ann"}
    corrections = [{"revision": 9, "class_name": "lava", "author": "bob"}]
    page = explanation_page(
        disputed | {"exemplars": exemplars, "corrections": corrections, "known": False, "flip_set": None}
    )
    text = text_of(page)
    assert "1 of these was removed after this answer." in text
    assert "strength 12 removed in edit 7 added in edit 5 by ann" in text
    assert "Each weighs strength · exp(10 · similarity)" in text
    assert "Corrected to lava by bob in edit 9." in text
    assert "counts as unknown" in text
    assert f"Unknown, nearest: {disputed['class_name']}" in text
    assert f"Confidence {100 * disputed['confidence']:.0f}%" not in text
    assert "none, because the segment is unknown" in text
    assert page.count('class="gone"') == 1
    plain = text_of(explanation_page(disputed | {"corrections": []}))
    assert "Each weighs exp(10 · similarity)" in plain
    assert "Corrections" not in plain
    assert "removed after" not in plain


def test_an_image_that_is_not_kept_is_not_requested(disputed: dict[str, Any]) -> None:
    similar = [disputed["exemplars"][0] | {"segment_id": "s-0", "known": True, "image_url": None, "crop_url": "/none"}]
    page = explanation_page(disputed | {"image_url": None, "similar": similar})
    assert "image not kept" in page
    assert "/none" not in page
    assert disputed["crop_url"] not in page


def test_a_confidence_that_nobody_measured_is_not_shown_as_a_number(disputed: dict[str, Any]) -> None:
    calibration = disputed["calibration"] | {"calibrated": False, "how": "there is only one image"}
    text = text_of(explanation_page(disputed | {"known": True, "confidence": None, "calibration": calibration}))
    assert "Confidence: not calibrated yet." in text
    assert "not calibrated yet: there is only one image" in text
    assert "None" not in text
    measured = text_of(explanation_page(disputed | {"known": True}))
    assert f"Confidence {100 * disputed['confidence']:.0f}%." in measured


def test_a_segment_without_a_class_has_no_vote_on_its_page(disputed: dict[str, Any]) -> None:
    names = ("class_id", "class_name", "confidence", "share", "familiarity", "image_similarity", "runner_up", "margin")
    nothing = dict.fromkeys((*names, "flip_set")) | {"known": False, "exemplars": [], "reserve": []}
    near = [{"segment_id": "s-1", "class_name": None, "known": False, "share": 0.25}]
    similar = [disputed["exemplars"][0] | {"segment_id": "s-2", "class_name": None, "known": False}]
    boundary = disputed["boundary"] | {"neighbours": near}
    vote = {"k": 0, "kappa": 10.0, "classes": []}
    page = explanation_page(disputed | nothing | {"vote": vote, "boundary": boundary, "similar": similar})
    text = text_of(page)
    assert "nothing had been taught" in text
    assert "unknown 25.0%" in text
    assert "None" not in page
    for section in ("The vote", "The exemplars that voted", "What would change the label?", "onfidence"):
        assert section not in text


def test_neighbours_and_similar_segments_that_are_unknown_are_named_unknown(disputed: dict[str, Any]) -> None:
    near = [{"segment_id": "s-1", "class_name": "lava", "known": False, "share": 0.25}]
    similar = [disputed["exemplars"][0] | {"segment_id": "s-2", "class_name": "lava", "known": False}]
    boundary = disputed["boundary"] | {"neighbours": near}
    page = explanation_page(disputed | {"boundary": boundary, "similar": similar})
    assert "lava" not in page
    for name in ("s-1", "s-2"):
        assert f'<a href="{name}">unknown</a>' in page


@pytest.mark.parametrize("place", ["class_name", "source", "author", "how"])
def test_every_text_is_escaped(disputed: dict[str, Any], place: str) -> None:
    hostile = "<script>alert('x')</script>\"&"
    changed = json.loads(json.dumps(disputed))
    if place == "class_name":
        changed["class_name"] = changed["vote"]["classes"][0]["class_name"] = hostile
    elif place == "how":
        changed["calibration"]["how"] = hostile
    else:
        changed["exemplars"][0] |= {"added_in": 1, place: hostile}
    page = explanation_page(changed)
    assert "<script" not in page
    assert hostile in html.unescape(page)


def test_a_missing_value_is_an_error_and_not_a_gap(disputed: dict[str, Any]) -> None:
    for name in ("familiarity", "boundary"):
        with pytest.raises(UndefinedError, match=name):
            explanation_page({key: value for key, value in disputed.items() if key != name})


@pytest.mark.parametrize(
    ("share", "shown"), [(0.0, "0.0%"), (0.1234, "12.3%"), (0.9996, "> 99.9%"), (1 - 1e-15, "100.0%"), (1.0, "100.0%")]
)
def test_a_share_is_not_rounded_up_to_certainty(share: float, shown: str) -> None:
    assert percent(share) == shown
