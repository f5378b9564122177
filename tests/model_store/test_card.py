"""A card has everything that serving needs. Contradictory values are refused."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from model_store.card import Calibration, Card, SortingInfo
from model_store.release import Release
from model_store.store import BUNDLED

WEIGHTS, TRAINED_ON = "Apache-2.0", "CamVid, for research"


@pytest.fixture(scope="module")
def card(tiny_release: Path) -> Card:
    return Release.open(tiny_release).card


def test_a_card_is_read_as_it_was_written(card: Card) -> None:
    assert Card.model_validate_json(card.model_dump_json()) == card


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda fields: fields["classes"][2].update(class_id=7), r"ids \[0, 1, 7\].*ids must be 0, 1, 2"),
        (lambda fields: fields["classes"][2].update(name="brick"), "names must differ"),
        (lambda fields: fields.update(classes=[], retired=[0]), r"retired=\[0\] has unknown class ids"),
        (
            lambda fields: fields.update(retired=[1, 3]),
            r"retired=\[1, 3\] has unknown class ids",
        ),
        (lambda fields: fields.update(format_version=2), "Input should be 1"),
        (lambda fields: fields.update(colour="red"), "Extra inputs are not permitted"),
        (lambda fields: fields["network"].update(layers=3), "Extra inputs are not permitted"),
        (lambda fields: fields["preprocessing"].update(working_size=31), "greater than or equal to 32"),
        (lambda fields: fields["retrieval"].update(kappa=0), "greater than 0"),
        (lambda fields: fields["sorting"].update(min_area=1), "less than 1"),
        (lambda fields: fields.update(name=""), "at least 1 character"),
    ],
)
def test_a_card_that_cannot_be_is_refused(card: Card, change: Callable[[dict[str, Any]], None], said: str) -> None:
    fields = card.model_dump(mode="json")
    change(fields)
    with pytest.raises(ValidationError, match=said):
        Card.model_validate(fields)


def test_a_card_from_before_there_were_retired_classes_has_none(card: Card) -> None:
    fields = card.model_dump(mode="json")
    assert Card.model_validate({name: value for name, value in fields.items() if name != "retired"}) == card


def test_a_card_from_before_there_were_uncalibrated_releases_is_calibrated(card: Card) -> None:
    fields = card.model_dump(mode="json")
    assert fields["calibration"].pop("calibrated") is True
    assert Card.model_validate(fields) == card


@pytest.mark.parametrize(
    ("x", "y"),
    [([0.1, 0.1], [0.0, 1.0]), ([0.2, 0.1], [0.0, 1.0]), ([0.1, 0.2], [1.0, 0.9]), ([0.1, 0.2], [1.0])],
)
def test_confidence_never_falls_as_the_share_rises(x: list[float], y: list[float]) -> None:
    with pytest.raises(ValidationError, match="must increase"):
        Calibration(confidence_x=x, confidence_y=y, known_threshold=0.5, how="")
    assert Calibration(confidence_x=[0.1, 0.2], confidence_y=[0.9, 0.9], known_threshold=0.5, how="")


def test_the_number_of_segments_asked_for_replaces_the_cards() -> None:
    fields = SortingInfo(segments=12, location_weight=0.25, iterations=3, coarse_iterations=1, kappa=7)
    as_told, asked = fields.options(), fields.options(5)
    assert (as_told.segments, asked.segments) == (12, 5)
    for options in (as_told, asked):
        assert (options.location_weight, options.iterations, options.coarse_iterations) == (0.25, 3, 1)
        assert (options.assignment, options.kappa, options.precision) == ("hard", 7, "int8")
    assert SortingInfo(precision="float32").options().precision == "float32"


@pytest.mark.parametrize(
    ("licence", "network"),
    [
        ({}, {}),
        ({"exemplars": "painted"}, {}),
        ({"exemplars": "painted", "weights": WEIGHTS, "training data": TRAINED_ON},
         {"weights": WEIGHTS, "training data": TRAINED_ON}),
        ({"exemplars": "none", "network": WEIGHTS, "statistics": "of photographs"},
         {"weights": WEIGHTS, "statistics": "of photographs"}),
        ({"exemplars": "mine", "added": "theirs", "network": {"weights": WEIGHTS, "training data": TRAINED_ON}},
         {"weights": WEIGHTS, "training data": TRAINED_ON}),
    ],
)  # fmt: skip
def test_the_licence_of_the_network_is_found_on_cards_of_all_versions(
    card: Card, licence: dict[str, Any], network: dict[str, Any]
) -> None:
    assert card.model_copy(update={"licence": licence}).network_licence() == network


@pytest.mark.parametrize("name", ["streets", "general"])
def test_bundled_cards_say_what_the_network_was_made_of(name: str) -> None:
    network = Release.open(BUNDLED / name).card.network_licence()
    assert "Apache-2.0" in network["weights"]
    assert "exemplars" not in network
