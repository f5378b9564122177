"""The releases over HTTP: the list and the cards agree, and have one form whatever the form of the card."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from model_store.release import CARD
from model_store.store import BUNDLED
from service.settings import Settings
from tests.service.http.test_wire import Conformance


@pytest.fixture
def shelve(settings: Settings, tiny_release: Path) -> Callable[..., None]:
    """Puts the card of a release into the store, with some fields changed."""

    def write(name: str, **changes: Any) -> None:
        folder = settings.data_dir / "releases" / name
        folder.mkdir(parents=True)
        card = json.loads((tiny_release / CARD).read_text()) | {"name": name} | changes
        (folder / CARD).write_text(json.dumps(card))

    return write


@pytest.fixture
def ask(client: TestClient) -> Iterator[Conformance]:
    return Conformance(client)


def both(ask: Conformance, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """A release in the list, and its card."""
    (listed,) = (one for one in ask("GET", "/releases") if one["name"] == name)
    return listed, ask("GET", "/releases/{name}", ids={"name": name})


TEXTS = {"weights": "Apache-2.0", "training data": "CC BY 4.0"}
LICENCES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {  # of a card, and as it is answered
    "today": (
        {"network": TEXTS, "exemplars": "mine", "added": "yours"},
        {"network": TEXTS, "exemplars": "mine", "added": "yours"},
    ),
    "flat": ({**TEXTS, "exemplars": "mine"}, {"network": TEXTS, "exemplars": "mine", "added": None}),
    "text": ({"network": "MIT"}, {"network": {"weights": "MIT"}, "exemplars": None, "added": None}),
    "mixed": (
        {"network": "MIT", "statistics": "none", "exemplars": {"images": "mine", "masks": "yours"}},
        {"network": {"weights": "MIT", "statistics": "none"}, "exemplars": "images: mine; masks: yours", "added": None},
    ),
    "nothing": ({}, {"network": {}, "exemplars": None, "added": None}),
}


@pytest.mark.parametrize("name", LICENCES)
def test_the_list_and_the_card_give_licences_in_the_same_form(
    ask: Conformance, shelve: Callable[..., None], name: str
) -> None:
    written, expected = LICENCES[name]
    shelve(name, licence=written)
    listed, card = both(ask, name)
    assert listed["licence"] == card["licence"] == expected


@pytest.mark.parametrize("name", sorted(file.parent.name for file in BUNDLED.glob(f"*/{CARD}")))
def test_the_licences_of_bundled_releases_have_the_same_form(ask: Conformance, name: str) -> None:
    listed, card = both(ask, name)
    assert listed["licence"] == card["licence"]
    assert set(card["licence"]) == {"network", "exemplars", "added"}
    assert card["licence"]["network"]["weights"]


@pytest.mark.parametrize(
    ("created", "answered"),
    [
        ("2026-11-25T09:13:40+00:00", "2026-11-25T09:13:40.000Z"),
        ("2026-11-25T09:13:40.678912+02:00", "2026-11-25T07:13:40.678Z"),
        ("2026-11-25T09:13:40", "2026-11-25T09:13:40.000Z"),
        ("2026-11-25", "2026-11-25T00:00:00.000Z"),
        ("0001-01-01T00:00:00+01:00", None),
        ("last week", None),
        ("", None),
    ],
)
def test_the_time_of_a_card_has_the_form_of_all_times(
    ask: Conformance, shelve: Callable[..., None], created: str, answered: str | None
) -> None:
    shelve("dated", created=created)
    listed, card = both(ask, "dated")
    assert listed["created"] == card["created"] == answered


def test_what_an_unreadable_card_does_not_say_is_null(ask: Conformance, shelve: Callable[..., None]) -> None:
    shelve("newer", format_version=99)
    (listed,) = (one for one in ask("GET", "/releases") if one["name"] == "newer")
    assert "format_version" in listed["problem"]
    unknown = {name for name, value in listed.items() if value is None}
    of_card = {"created", "description", "classes", "exemplars", "network", "metrics", "licence", "digest"}
    assert unknown == of_card | {"parent", "adapted", "built"}
    assert not listed["adaptable"]
    assert not listed["starts_empty"]


def test_measured_results_are_written_without_noise(ask: Conformance, shelve: Callable[..., None]) -> None:
    shelve("measured", metrics={"val": {"miou": 0.1 + 0.2}}, data={"adapted": {"before": 0.1 + 0.7}})
    listed, card = both(ask, "measured")
    assert listed["metrics"] == card["metrics"] == {"val": {"miou": 0.3}}
    assert card["data"] == {"adapted": {"before": 0.8}}
