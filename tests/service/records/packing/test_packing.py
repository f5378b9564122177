"""Packed answers are unpacked as they were, to the last bit, and others are refused."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segsort.masks import encode_with_boxes
from service.records.packing.sections import Damaged, Sections, narrowest, pack
from service.records.packing.shapes import PackedShapes, pack_map, pack_masks
from service.records.packing.votes import Labels, Neighbours, PackedVotes, _units, _values, pack_votes

D = 8


@dataclass
class Exemplars:
    """A release of n exemplars, and others that edits added."""

    vectors: np.ndarray
    released: int

    def ids(self, rows: list[int]) -> list[str]:
        return [f"{row:016x}" for row in rows]

    def row(self, exemplar_id: str) -> int | None:
        row = int(exemplar_id, 16)
        return row if row < len(self.vectors) else None

    def prototypes(self, rows: np.ndarray) -> np.ndarray:
        return self.vectors[rows]


def units(random: np.random.Generator, count: int) -> np.ndarray:
    vectors = random.standard_normal((count, D)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True).astype(np.float32)


def searched(exemplars: Exemplars, prototypes: np.ndarray, depth: int) -> tuple[Neighbours, np.ndarray]:
    """The nearest exemplars of each prototype, as a search in float32 finds them, and their rows."""
    cosines = (prototypes @ exemplars.vectors.T).astype(np.float32)
    order = np.lexsort((np.broadcast_to(np.arange(cosines.shape[1]), cosines.shape), -cosines))[:, :depth]
    found, places = np.unique(order, return_inverse=True)
    return Neighbours(
        exemplars.ids(found.tolist()), places.reshape(order.shape), np.take_along_axis(cosines, order, axis=1), found
    ), order


def labels_of(random: np.random.Generator, count: int) -> Labels:
    confidence = random.random(count)
    confidence[::3] = np.nan
    return Labels(random.integers(-1, 200, count), random.random(count) < 0.5, confidence, random.random(count))


def same(one: Neighbours, other: Neighbours) -> bool:
    names = [np.array(each.exemplar_ids, dtype=object)[each.places] for each in (one, other)]
    return bool((names[0] == names[1]).all()) and one.cosines.tobytes() == other.cosines.tobytes()


@given(
    seed=st.integers(0, 2**32 - 1), count=st.integers(0, 9), released=st.integers(0, 40), added=st.integers(1, 20),
    depth=st.integers(1, 30), by_row=st.booleans(),
)  # fmt: skip
@settings(deadline=None, max_examples=60)
def test_votes_are_unpacked_to_the_last_bit(
    seed: int, count: int, released: int, added: int, depth: int, by_row: bool
) -> None:
    random = np.random.default_rng(seed)
    exemplars = Exemplars(units(random, released + added), released)
    prototypes, labels = units(random, count), labels_of(random, count)
    neighbours, _ = searched(exemplars, prototypes, min(depth, released + added))
    given_ = neighbours if by_row else neighbours._replace(rows=None)
    packed = pack_votes(labels, given_, prototypes, exemplars)
    unpacked = PackedVotes(packed)
    for one, other in zip(unpacked.labels, labels, strict=True):
        np.testing.assert_array_equal(one, other)
    found = unpacked.neighbours(prototypes, exemplars)
    assert found is not None
    assert same(found, neighbours)
    # exemplars that later edits add change nothing
    grown = Exemplars(np.concatenate([exemplars.vectors, units(random, 3)]), released)
    assert PackedVotes(packed).neighbours(prototypes, grown) is not None


def test_neighbours_of_other_exemplars_are_not_made_up() -> None:
    random = np.random.default_rng(0)
    exemplars, prototypes = Exemplars(units(random, 50), 40), units(random, 6)
    neighbours, _ = searched(exemplars, prototypes, 9)
    unpacked = PackedVotes(pack_votes(labels_of(random, 6), neighbours, prototypes, exemplars))
    assert unpacked.neighbours(prototypes, exemplars) is not None
    assert unpacked.neighbours(prototypes, None) is None
    changed = exemplars.vectors.copy()
    changed[neighbours.rows[0], 0] += np.float32(1e-6)
    assert unpacked.neighbours(prototypes, Exemplars(changed, 40)) is None
    assert unpacked.neighbours(prototypes, Exemplars(exemplars.vectors[:20], 20)) is None


def test_neighbours_in_another_order_than_that_of_their_cosines_keep_it() -> None:
    random = np.random.default_rng(1)
    exemplars, prototypes = Exemplars(units(random, 30), 30), units(random, 4)
    neighbours, _ = searched(exemplars, prototypes, 7)
    turned = neighbours._replace(places=neighbours.places[:, ::-1], cosines=neighbours.cosines[:, ::-1])
    found = PackedVotes(pack_votes(labels_of(random, 4), turned, prototypes, exemplars)).neighbours(
        prototypes, exemplars
    )
    assert found is not None
    assert same(found, turned)


def test_neighbours_are_packed_without_exemplars_and_with_any_ids() -> None:
    random = np.random.default_rng(2)
    neighbours = Neighbours(["a", "another-one"], np.array([[1, 0]]), np.array([[0.5, -0.0]], np.float32))
    packed = pack_votes(labels_of(random, 1), neighbours, units(random, 1), None)
    found = PackedVotes(packed).neighbours(units(random, 1), None)
    assert found is not None
    assert list(found.exemplar_ids) == ["a", "another-one"]
    assert same(found, neighbours)


def test_a_neighbour_takes_less_than_three_bytes() -> None:
    random = np.random.default_rng(3)
    exemplars, prototypes = Exemplars(units(random, 6000), 6000), units(random, 100)
    neighbours, _ = searched(exemplars, prototypes, 60)
    assert len(pack_votes(labels_of(random, 100), neighbours, prototypes, exemplars)) < 3 * 100 * 60


def test_units_are_in_the_order_of_the_values_and_zero_keeps_its_sign() -> None:
    values = np.array([-1, -1e-30, -0.0, 0.0, 1e-30, 0.5, 1], dtype=np.float32)
    assert (np.diff(_units(values)) > 0).all()
    assert _values(_units(values)).tobytes() == values.tobytes()


@given(
    labels=st.lists(st.lists(st.integers(-1, 4), min_size=4, max_size=4), min_size=1, max_size=6), by_map=st.booleans()
)
@settings(deadline=None)
def test_shapes_are_unpacked_as_they_were(labels: list[list[int]], by_map: bool) -> None:
    image, prototypes = np.array(labels, dtype=np.int32), units(np.random.default_rng(4), 5)
    counts, boxes = encode_with_boxes(image, 5)
    packed = pack_map(image, prototypes) if by_map else pack_masks(counts, (len(labels), 4), prototypes)
    assert packed is not None
    shapes = PackedShapes(packed, (len(labels), 4))
    assert shapes.masks == (counts, boxes.tolist())
    assert shapes.areas.tolist() == [int((image == n).sum()) for n in range(5)]
    assert shapes.labels.tolist() == labels
    assert shapes.prototypes.tobytes() == prototypes.tobytes()


@given(labels=st.lists(st.lists(st.integers(-1, 3), min_size=6, max_size=6), min_size=1, max_size=9))
@settings(deadline=None, max_examples=60)
def test_the_mask_of_one_segment_is_the_same_alone_as_beside_the_others(labels: list[list[int]]) -> None:
    image = np.array(labels, dtype=np.int32)
    packed = pack_map(image, np.ones((4, D), np.float32))
    alone, together = PackedShapes(packed, image.shape), PackedShapes(packed, image.shape)
    counts, boxes = together.masks
    for number in range(4):
        assert alone.mask(number) == together.mask(number) == (counts[number], boxes[number])
    assert "masks" not in vars(alone)


def test_masks_that_overlap_are_not_packed() -> None:
    counts = encode_with_boxes(np.zeros((2, 2), np.int32), 1)[0] * 2
    assert pack_masks(counts, (2, 2), units(np.random.default_rng(5), 2)) is None


def test_no_segment_at_all_is_packed() -> None:
    packed = pack_masks([], (3, 4), np.zeros((0, D), np.float32))
    assert packed is not None
    assert PackedShapes(packed, (3, 4)).masks == ([], [])


@pytest.mark.parametrize("cut", [0, 5, 40, -1])
def test_damaged_bytes_are_refused(cut: int) -> None:
    random = np.random.default_rng(6)
    image, prototypes = random.integers(0, 3, (9, 9)).astype(np.int32), units(random, 3)
    packed = pack_map(image, prototypes)
    with pytest.raises(Damaged):
        PackedShapes(packed[:cut], (9, 9)).masks  # noqa: B018  # unpacked when it is read
    with pytest.raises(Damaged):
        PackedShapes(packed, (9, 8)).masks  # noqa: B018


def test_a_section_with_more_or_fewer_values_than_it_should_have_is_refused() -> None:
    packed = pack(b"", [np.arange(5, dtype="<u2")])
    assert Sections(packed, 0).take("<u2", 5).tolist() == [0, 1, 2, 3, 4]
    for count in (4, 6):
        with pytest.raises(Damaged):
            Sections(packed, 0).take("<u2", count)


@pytest.mark.parametrize(("values", "kind"), [([0, 255], "u1"), ([256], "u2"), ([70_000], "u4"), ([2**40], "u8")])
def test_whole_numbers_take_the_narrowest_type(values: list[int], kind: str) -> None:
    assert narrowest(np.array(values)).dtype == np.dtype(f"<{kind}")
    assert narrowest(-np.array(values), signed=True).tolist() == [-value for value in values]
