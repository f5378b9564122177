"""Exemplars are read as written, and their ids follow from their content."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from model_store.exemplar_table import Exemplars, exemplar_id, exemplar_ids


def some(count: int, dimension: int = 5) -> Exemplars:
    random = np.random.default_rng(0)
    return Exemplars(
        ids=[f"{number:016x}" for number in random.integers(0, 2**62, count)],
        prototypes=random.standard_normal((count, dimension)).astype(np.float32),
        class_ids=random.integers(0, 3, count),
        image_ids=random.integers(0, 9, count).astype(np.int32),
        bboxes=random.integers(0, 99, (count, 4)).astype(np.int32),
        areas=random.integers(1, 2**40, count),
        masks=["0a" * (row % 4) for row in range(count)],  # each fourth is empty
    )


@pytest.mark.parametrize("count", [0, 1, 9])
def test_what_is_saved_is_loaded(count: int, tmp_path: Path) -> None:
    saved = some(count)
    saved.save(tmp_path / "exemplars.npz")
    loaded = Exemplars.load(tmp_path / "exemplars.npz")
    assert len(loaded) == count
    assert loaded.ids == saved.ids
    assert loaded.masks == saved.masks
    for name in ("prototypes", "class_ids", "image_ids", "bboxes", "areas"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(saved, name))
        assert getattr(loaded, name).dtype == getattr(saved, name).dtype


def test_strengths_are_kept_and_a_file_without_them_counts_each_as_one(tmp_path: Path) -> None:
    plain, strengths = some(4), np.array([1, 2.5, 1000, 1], dtype=np.float32)
    plain.save(tmp_path / "plain.npz")
    replace(plain, strengths=strengths).save(tmp_path / "strong.npz")
    assert Exemplars.load(tmp_path / "plain.npz").strengths is None
    loaded = Exemplars.load(tmp_path / "strong.npz").strengths
    assert loaded is not None
    assert (loaded.tolist(), loaded.dtype) == (strengths.tolist(), np.float32)


@pytest.mark.parametrize(
    ("strengths", "message"), [([1, 1], r"\{'strengths': 2\}"), ([1, 0, 1], "above 0"), ([1, np.nan, 1], "finite")]
)
def test_strengths_that_are_none_are_refused(strengths: list[float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(some(3), strengths=np.array(strengths))


@pytest.mark.parametrize("field", ["prototypes", "class_ids", "image_ids", "bboxes", "areas", "masks"])
def test_a_field_of_another_length_is_named(field: str) -> None:
    given = some(4)
    with pytest.raises(ValueError, match=rf"exemplars have 4 ids, but \{{'{field}': 3\}}"):
        replace(given, **{field: getattr(given, field)[:3]})


@pytest.mark.parametrize("field", ["prototypes", "bboxes"])
def test_a_field_of_another_form_is_refused(field: str) -> None:
    given = some(4)
    with pytest.raises(ValueError, match=r"prototypes \[N, D\], bboxes \[N, 4\]"):
        replace(given, **{field: getattr(given, field)[:, 0]})


def test_a_name_is_the_digest_of_everything_that_makes_an_exemplar() -> None:
    prototype = np.array([0.6, 0.8], dtype=np.float32)
    parts = b"\x9a\x99\x19\x3f\xcd\xcc\x4c\x3f" + b"\0car" + "\0straße/1".encode() + b"\0ab"
    assert exemplar_id(prototype, "car", "straße/1", "ab") == hashlib.sha256(parts).hexdigest()[:16]


@pytest.mark.parametrize(
    "change",
    [
        lambda p, c, s, m: (np.nextafter(p, np.float32(2)), c, s, m),
        lambda p, c, s, m: (p, c + "t", s, m),
        lambda p, c, s, m: (p, c, s + "0", m),
        lambda p, c, s, m: (p, c, s, m + "0"),
        lambda p, c, s, m: (p, c + s, "", m),
    ],
)
def test_another_exemplar_has_another_name(change: Callable[..., tuple[np.ndarray, str, str, str]]) -> None:
    parts = (np.array([0.6, 0.8], dtype=np.float32), "car", "streets/1", "ab")
    assert exemplar_id(*change(*parts)) != exemplar_id(*parts)


def test_names_of_many_are_those_of_each() -> None:
    given = some(3)
    names, sources = ["a", "b", "a"], ["x", "x", "y"]
    each = [exemplar_id(given.prototypes[i], names[i], sources[i], given.masks[i]) for i in range(3)]
    assert exemplar_ids(given.prototypes.astype(np.float64), names, sources, given.masks) == each
