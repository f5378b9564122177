"""Classes as requests name them."""

import pytest

from model_store.card import ClassInfo
from service.editing.class_names import Classes, ClassRef, ClassRefs, check_name, parse_color
from service.problems import Problem
from service.records.edit_log import ClassState

STATES = [
    ClassState(ClassInfo(class_id=0, name="Brick", color=(200, 40, 30)), False),
    ClassState(ClassInfo(class_id=1, name="grass", color=(40, 180, 60)), True),
    ClassState(ClassInfo(class_id=2, name="water", color=(30, 60, 210)), False),
]
ODD = ["x" * 61, "a\tb", " kerb"]  # names that older versions, or other programs, have given


def status(raised: pytest.ExceptionInfo[Problem]) -> int:
    return raised.value.status


@pytest.mark.parametrize("given", [{}, {"name": "a", "class_id": 1}])
def test_a_class_needs_either_a_name_or_an_id(given: dict) -> None:
    with pytest.raises(Problem, match="either a name or an id") as refused:
        ClassRef(**given)
    assert status(refused) == 422


@pytest.mark.parametrize("name", ["", "   ", "\u200d", "x" * 61, "a\nb", "a\0", "a\u200eb", "\ud800"])
def test_new_names_that_are_empty_long_or_hold_hidden_characters_are_refused(name: str) -> None:
    with pytest.raises(Problem, match="name of the class") as refused:
        check_name(name)
    assert status(refused) == 422
    for use in (lambda: Classes(STATES).find(ClassRef(name)), lambda: ClassRefs(["a"]).position(ClassRef(name))):
        with pytest.raises(Problem, match="name of the class"):
            use()


@pytest.mark.parametrize("name", ["پیاده\u200cرو", "क्\u200dष", "👨\u200d👩\u200d👧", "mur\u00a0: haut"])
def test_a_new_name_may_be_of_any_script(name: str) -> None:
    assert Classes(STATES).find(ClassRef(name)).name == name


def test_a_new_name_is_stored_in_one_unicode_form() -> None:
    classes = Classes(STATES)
    made = classes.find(ClassRef("cafe\u0301"))
    assert made.name == "caf\u00e9"
    assert classes.find(ClassRef("caf\u00e9")) is made


def test_an_existing_name_is_found_whatever_it_holds() -> None:
    odd = [ClassState(ClassInfo(class_id=n, name=name, color=(0, 0, n)), False) for n, name in enumerate(ODD)]
    classes = Classes(odd)
    assert [classes.find(ClassRef(name)).class_id for name in ODD] == [0, 1, 2]
    refs = ClassRefs(ODD)
    assert [refs.position(ClassRef(name)) for name in ODD] == [0, 1, 2]


def test_an_exact_name_comes_before_one_that_differs_by_case() -> None:
    both = [
        ClassState(ClassInfo(class_id=n, name=name, color=(0, 0, n)), False) for n, name in enumerate(("car", "Car"))
    ]
    classes = Classes(both)
    assert [classes.find(ClassRef(name)).class_id for name in ("Car", "car", " Car ")] == [1, 0, 1]
    with pytest.raises(Problem, match="fits several classes") as refused:
        classes.find(ClassRef("CAR"))
    assert status(refused) == 422
    assert refused.value.allowed == {0: "car", 1: "Car"}
    refs = ClassRefs(["car", "Car"])
    assert [refs.position(ClassRef(name)) for name in ("Car", "car", "Car")] == [0, 1, 0]


def test_spaces_around_a_name_are_ignored() -> None:
    assert check_name("  kerb ") == "kerb"
    assert check_name("x" * 60) == "x" * 60
    assert Classes(STATES).find(ClassRef(" brick")) == STATES[0].info


@pytest.mark.parametrize("color", ["red", "#12345", "#1234567", "#12345g", "123456", ""])
def test_colours_of_another_form_are_refused(color: str) -> None:
    with pytest.raises(Problem, match="colour") as refused:
        parse_color(color)
    assert status(refused) == 422


def test_a_colour_is_read_as_red_green_and_blue() -> None:
    assert parse_color("#0aFF10") == (10, 255, 16)


def test_a_class_is_found_by_name_whatever_its_case_and_by_id() -> None:
    classes = Classes(STATES)
    assert classes.find(ClassRef("BRICK")).class_id == 0
    assert classes.find(ClassRef(class_id=2)).name == "water"
    assert classes.new == []


@pytest.mark.parametrize("class_id", [-1, 1, 3])
def test_a_retired_or_unknown_id_is_refused_with_the_present_ones(class_id: int) -> None:
    with pytest.raises(Problem) as refused:
        Classes(STATES).find(ClassRef(class_id=class_id))
    assert status(refused) == 404
    assert refused.value.allowed == {0: "Brick", 2: "water"}


def test_a_new_name_creates_a_class_once() -> None:
    classes = Classes(STATES)
    made = classes.find(ClassRef("fog", color="#102030"))
    assert (made.class_id, made.name, made.color) == (3, "fog", (16, 32, 48))
    assert classes.find(ClassRef("FOG")) is made
    assert classes.find(ClassRef("mist")).class_id == 4
    assert [classes.name(n) for n in (0, 3, 4)] == ["Brick", "fog", "mist"]


def test_the_name_of_a_retired_class_can_be_used_again_with_a_new_id() -> None:
    assert Classes(STATES).find(ClassRef("grass")).class_id == 3


def test_there_are_at_most_255_classes() -> None:
    many = [ClassState(ClassInfo(class_id=n, name=f"c{n}", color=(0, 0, 0)), n % 2 == 0) for n in range(255)]
    assert Classes(many[:-1]).find(ClassRef("one more")).class_id == 254
    with pytest.raises(Problem, match="too many classes") as refused:
        Classes(many).find(ClassRef("one more"))
    assert status(refused) == 409
