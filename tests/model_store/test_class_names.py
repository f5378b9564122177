"""Names of classes: which are allowed, and which are one name."""

import json
import unicodedata
from pathlib import Path

import pytest

from model_store.class_names import check_names, fault_of, matches, name_key, normalized
from model_store.labelled.folder import read_classes

PERSIAN = "پیاده\u200cرو"  # sidewalk, with a zero width non-joiner
HINDI = "क्\u200dष"  # with a zero width joiner
FAMILY = "👨\u200d👩\u200d👧"


@pytest.mark.parametrize("name", ["kerb", " kerb ", PERSIAN, HINDI, FAMILY, "❤️", "mur\u00a0: haut", "道路", "x" * 300])
def test_names_of_every_script_are_allowed(name: str) -> None:
    assert fault_of(name) is None


@pytest.mark.parametrize("name", ["", "   ", "\u3000", "\u200d", " \u200c\u200d "])
def test_names_that_show_nothing_are_refused(name: str) -> None:
    assert fault_of(name) == "it is empty"


@pytest.mark.parametrize(
    "hidden", ["\0", "\n", "\x7f", "\u00ad", "\u200b", "\u200e", "\u202e", "\u2028", "\ufeff", "\ud800", "\U000e0067"]
)
def test_control_and_format_characters_are_refused_by_number(hidden: str) -> None:
    assert f"U+{ord(hidden):04X}" in str(fault_of(f"a{hidden}b"))


def test_names_in_other_unicode_forms_are_one_name_and_stored_in_nfc() -> None:
    composed, decomposed = unicodedata.normalize("NFC", "Fußgängerin"), unicodedata.normalize("NFD", "Fußgängerin")
    assert composed != decomposed
    assert normalized(f" {decomposed} ") == composed
    assert name_key(composed) == name_key(decomposed) == name_key("FUSSGÄNGERIN")
    assert name_key("\u0345\u0301") == name_key("\u0301\u0345")  # the order of marks is restored after folding


def test_an_exact_match_comes_first_and_then_one_without_regard_to_case() -> None:
    names = ["Car", "car", "Bus"]
    assert [matches(name, names) for name in ("car", "Car", " car", "BUS", "tram")] == [[1], [0], [1], [2], []]
    assert matches("CAR", names) == [0, 1]
    assert matches("cafe\u0301", ["CAFÉ", "café"]) == [1]


def test_an_existing_name_is_found_whatever_it_holds() -> None:
    for name in ("", "a\nb", " kerb", "x" * 500, "\ud800"):
        assert matches(name, ["kerb", name]) == [1]


def test_names_of_a_data_set_are_allowed_and_differ() -> None:
    check_names(["car", "bus", PERSIAN])
    check_names([])
    for names, words in (
        (["car", "Car"], "'car' and 'Car' are one name"),
        (["caf\u00e9", "cafe\u0301"], "are one name"),
        (["car", "car"], "are one name"),
        (["car", " "], "it is empty"),
        (["a\tb"], r"U\+0009"),
    ):
        with pytest.raises(ValueError, match=words):
            check_names(names)


def test_classes_json_with_two_names_that_are_one_is_refused(tmp_path: Path) -> None:
    entries = [{"name": "Car", "color": [1, 2, 3]}, {"name": "car", "color": [4, 5, 6]}]
    file = tmp_path / "classes.json"
    file.write_text(json.dumps({"classes": entries}))
    with pytest.raises(ValueError, match=r"classes\.json.*'Car' and 'car' are one name"):
        read_classes(file)
