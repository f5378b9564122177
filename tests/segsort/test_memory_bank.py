import pytest
import torch

from segsort.memory_bank import MemoryBank


def rows(*values: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    ids = torch.tensor(values)
    return torch.stack([ids.float(), -ids.float()], dim=1), ids, ids % 2


def remembered(bank: MemoryBank) -> list[int]:
    held = bank.read()
    return sorted(held.class_ids[held.valid].tolist())


def test_an_empty_bank_gives_no_valid_rows() -> None:
    assert not MemoryBank(4, 2).read().valid.any()


def test_the_oldest_rows_are_overwritten() -> None:
    bank = MemoryBank(4, 2)
    for values in ((1, 2, 3), (4, 5), (6,)):
        bank.add(*rows(*values))
    assert remembered(bank) == [3, 4, 5, 6]


def test_of_more_rows_than_fit_the_last_are_kept() -> None:
    bank = MemoryBank(3, 2)
    bank.add(*rows(1, 2, 3, 4, 5))
    assert remembered(bank) == [3, 4, 5]


def test_prototypes_keep_their_classes_and_domains() -> None:
    bank = MemoryBank(3, 2)
    bank.add(*rows(1, 2))
    bank.add(*rows(3, 4))
    for prototype, class_id, domain, valid in zip(*bank.read(), strict=True):
        assert valid
        assert prototype.tolist() == [float(class_id), -float(class_id)]
        assert domain == class_id % 2


def test_rows_that_are_given_as_not_valid_are_kept_so() -> None:
    bank = MemoryBank(4, 2)
    bank.add(*rows(1, 2, 3), torch.tensor([True, False, True]))
    assert remembered(bank) == [1, 3]


def test_no_gradient_enters_the_bank() -> None:
    bank = MemoryBank(3, 2)
    prototypes, classes, domains = rows(1, 2)
    bank.add(prototypes.requires_grad_(), classes, domains)
    assert not bank.read()[0].requires_grad


def test_a_bank_of_no_capacity_keeps_nothing() -> None:
    bank = MemoryBank(0, 2)
    bank.add(*rows(1))
    assert bank.capacity == 0


def test_a_negative_capacity_is_refused() -> None:
    with pytest.raises(ValueError, match="capacity=-1"):
        MemoryBank(-1, 2)


@pytest.mark.parametrize("capacity", [1, 3, 7])
@pytest.mark.parametrize("seed", range(5))
def test_after_any_writes_the_bank_holds_the_last_rows(capacity: int, seed: int) -> None:
    """A list from which the oldest are dropped is the oracle."""
    generator = torch.Generator().manual_seed(seed)
    bank, expected, next_id = MemoryBank(capacity, 2), [], 1
    for _ in range(12):
        count = int(torch.randint(0, 2 * capacity + 1, (), generator=generator))
        ids = list(range(next_id, next_id + count))
        bank.add(*rows(*ids))
        expected, next_id = (expected + ids)[-capacity:], next_id + count
        assert remembered(bank) == sorted(expected)
        assert bank.capacity == capacity


def test_shapes_do_not_depend_on_how_many_rows_are_written() -> None:
    bank = MemoryBank(5, 2)
    before = [part.shape for part in bank.read()]
    bank.add(*rows(1, 2, 3))
    assert [part.shape for part in bank.read()] == before == [(5, 2), (5,), (5,), (5,)]


def test_reading_copies_nothing() -> None:
    bank = MemoryBank(5, 2)
    first, second = bank.read(), bank.read()
    assert all(one.data_ptr() == other.data_ptr() for one, other in zip(first, second, strict=True))


def test_prototypes_of_another_precision_are_kept_in_the_banks() -> None:
    bank = MemoryBank(3, 2)
    prototypes, classes, domains = rows(1, 2)
    bank.add(prototypes.half(), classes, domains)
    assert bank.read().prototypes.dtype == torch.float32
    assert remembered(bank) == [1, 2]


def test_a_dimension_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="dimension=0"):
        MemoryBank(3, 0)
