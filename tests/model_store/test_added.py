"""Added rows: columns that grow, while every snapshot keeps the rows that it had."""

import threading

import numpy as np
import pytest

from model_store.added import AddedExemplar, AddedRows

D = 4


def exemplar(number: int, class_id: int | None = None, strength: float | None = None) -> AddedExemplar:
    """An exemplar whose values all follow from `number`."""
    prototype = np.full(D, number, dtype=np.float32)
    class_id = number % 7 if class_id is None else class_id
    strength = number + 0.5 if strength is None else strength
    return AddedExemplar(f"e{number}", prototype, class_id, strength, "i", "s", 1, 1, (0, 0, 1, 1), 1, "0")


def assert_holds(rows: AddedRows, numbers: list[int]) -> None:
    """Every column, every exemplar and every id, and nothing else."""
    assert len(rows) == len(numbers)
    np.testing.assert_array_equal(rows.prototypes, np.repeat(np.array(numbers, np.float32), D).reshape(-1, D))
    assert rows.class_ids.tolist() == [number % 7 for number in numbers]
    assert rows.strengths.tolist() == [number + 0.5 for number in numbers]
    assert [rows[row].exemplar_id for row in range(len(rows))] == [f"e{number}" for number in numbers]
    assert [rows.row(f"e{number}") for number in numbers] == list(range(len(numbers)))
    for outside in (-1, len(numbers)):
        with pytest.raises(IndexError, match=f"row {outside}; there are {len(numbers)}"):
            rows[outside]


def test_no_rows_hold_nothing() -> None:
    assert_holds(AddedRows.none(D), [])
    assert AddedRows.none(D).row("e0") is None


@pytest.mark.parametrize("steps", [[1, 1, 1], [63, 1, 1, 63, 1], [64, 64], [65], [300, 1], [0, 5, 0]])
def test_rows_stay_in_order_through_every_growth(steps: list[int]) -> None:
    rows, numbers, seen = AddedRows.none(D), list[int](), []
    for step in steps:
        new = list(range(len(numbers), len(numbers) + step))
        rows, numbers = rows.extended([exemplar(number) for number in new]), numbers + new
        seen.append((rows, numbers))
    for earlier, then in seen:
        assert_holds(earlier, then)
        assert earlier.row(f"e{len(then)}") is None, "rows that came later are not part of it"


def test_two_extensions_of_the_same_rows_do_not_share_their_new_rows() -> None:
    first = AddedRows.none(D).extended([exemplar(0), exemplar(1)])
    left, right = first.extended([exemplar(2)]), first.extended([exemplar(3), exemplar(4)])
    later = left.extended([exemplar(5)])
    assert_holds(first, [0, 1])
    assert_holds(left, [0, 1, 2])
    assert_holds(right, [0, 1, 3, 4])
    assert_holds(later, [0, 1, 2, 5])
    assert (first.row("e2"), left.row("e3"), right.row("e2"), left.row("e5")) == (None, None, None, None)


def test_extensions_from_several_threads_are_all_whole() -> None:
    first, found = AddedRows.none(D).extended([exemplar(0)]), dict[int, AddedRows]()
    start = threading.Barrier(8)

    def extend(number: int) -> None:
        start.wait(10)
        found[number] = first.extended([exemplar(number), exemplar(number + 100)])

    threads = [threading.Thread(target=extend, args=(number,)) for number in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number, rows in found.items():
        assert_holds(rows, [0, number, number + 100])
    assert_holds(first, [0])


def test_exemplars_are_the_same_if_class_strength_and_prototype_are() -> None:
    one = exemplar(3)
    assert one.same_as(exemplar(3))
    assert one.same_as(exemplar(3, strength=3.5 + 1e-9)), "strengths are kept in 32 bits"
    assert not one.same_as(exemplar(3, class_id=4))
    assert not one.same_as(exemplar(3, strength=4))
    assert not one.same_as(exemplar(4, class_id=3, strength=3.5))
