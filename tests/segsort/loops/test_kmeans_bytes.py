"""Pixel sorting in eight bits, beside whole numbers in numpy and beside float32."""

import os
import subprocess
import sys
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from segsort.loops import kmeans
from segsort.loops import kmeans_bytes as byte_kernels
from segsort.loops.blocks import PIECE
from segsort.pixel_sorting import SortedPixels, SortingOptions, grid_labels, sort_pixels, sorting_features
from segsort.sphere import normalize
from tests.segsort.loops.eight_bits import cone, cones, lost, means_of, patches, purity, rounded, thirds

needs_bytes = pytest.mark.skipif(not byte_kernels.supported(), reason="the processor has no AVX-512 VNNI")


def embeddings(dimension: int = 8, height: int = 33, width: int = 41, noise: float = 0.2) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    coarse = torch.randn(1, dimension, 5, 6, generator=generator)
    smooth = torch.nn.functional.interpolate(coarse, size=(height, width), mode="bilinear")
    return normalize(smooth + noise * torch.randn(smooth.shape, generator=generator), dim=1)


def packed(rows: np.ndarray) -> np.ndarray:
    """[ROWS, D] whole numbers -127..127 as the loops take them, bytes past D being of no consequence."""
    padded = np.full((byte_kernels.ROWS, 4 * byte_kernels.words(rows.shape[1])), 77, np.uint8)
    padded[:, : rows.shape[1]] = rows + 128
    return np.ascontiguousarray(padded.view(np.int32).T)


@needs_bytes
@pytest.mark.parametrize(("dimension", "count"), [(34, 102), (1, 6), (34, 6), (66, 300), (5, 12)])
def test_the_nearest_mean_is_that_of_whole_numbers(dimension: int, count: int) -> None:
    random = np.random.default_rng(dimension + count)
    rows = random.integers(-127, 128, (byte_kernels.ROWS, dimension))
    theta = random.integers(-127, 128, (count, dimension))
    theta[count // 2] = theta[0]  # a tie
    means = np.zeros((count, 4 * byte_kernels.words(dimension)), np.int8)
    means[:, :dimension] = theta
    bias = (-128 * theta.sum(axis=1)).astype(np.int32)
    bias[3] = byte_kernels.NEVER  # nobody's
    products = rows @ theta.T
    products[:, 3] = -(10**9)
    own = np.array([0, *([count // 2] * 10), *random.choice([k for k in range(count) if k != 3], 21)], np.int32)
    expected = np.where(products[np.arange(32), own] == products.max(axis=1), own, products.argmax(axis=1))
    target = np.empty_like(own)
    assert byte_kernels.nearest(packed(rows), means.view(np.int32), bias, own, target)
    assert target.tolist() == expected.tolist()
    assert not byte_kernels.nearest(packed(rows), means.view(np.int32), bias, expected.astype(np.int32), target)
    assert target.tolist() == expected.tolist()


def test_rows_and_means_become_bytes() -> None:
    rows = sorting_features(embeddings(7, 5, 9), 0.5)[0].numpy()  # 45 rows of 9
    depth, labels = byte_kernels.words(9), np.arange(45) % 11
    expected = rounded(rows, labels, 12)
    blocks = np.zeros((2, depth, byte_kernels.ROWS), np.int32)
    byte_kernels.pack_rows(rows, expected.centre, expected.scale, blocks, np.full(4 * depth, 128, np.uint8))
    found = np.ascontiguousarray(blocks.transpose(0, 2, 1)).view(np.uint8).reshape(64, 4 * depth)
    np.testing.assert_array_equal(found[:45, :9], expected.rows + 128)
    assert np.all(found[:45, 9:] == 128)
    assert found[:45, :9].max() == 255 or found[:45, :9].min() == 1

    theta = np.ascontiguousarray(means_of(rows, labels, 12)[0].T)
    means, bias = np.zeros((12, 4 * depth), np.int8), np.empty(12, np.int32)
    sizes = np.bincount(labels, minlength=12)
    byte_kernels.pack_means(theta, sizes, expected.centre, expected.scale, means, bias)
    np.testing.assert_array_equal(means[:11, :9], expected.means[:11])
    assert np.abs(means).max() == 127
    assert bias[11] == byte_kernels.NEVER
    np.testing.assert_array_equal(bias[:11] + 128 * means[:11].astype(int).sum(axis=1), expected.offsets[:11])


def test_bytes_of_what_is_no_number_lie_in_their_range() -> None:
    rows = np.array([[np.nan, np.inf, -np.inf, 0.5]], np.float32)
    blocks = np.zeros((1, 1, byte_kernels.ROWS), np.int32)
    byte_kernels.pack_rows(rows, np.zeros(4, np.float32), np.float32(100), blocks, np.full(4, 128, np.uint8))
    assert np.ascontiguousarray(blocks[0, :, 0]).view(np.uint8).tolist() == [1, 255, 1, 178]


@needs_bytes
@pytest.mark.parametrize("size", [(33, 41), (8, 8), (3, 5), (1, 1)])
def test_an_iteration_is_that_of_whole_numbers(size: tuple[int, int]) -> None:
    options = SortingOptions(12, 1, location_weight=0.3, precision="int8")
    given, count = embeddings(8, *size), min(12, size[0] * size[1])
    rows, labels = sorting_features(given, 0.3)[0].numpy(), grid_labels(*size, 12).flatten().numpy()
    whole = rounded(rows, labels, count)
    assert lost(rows, labels, count) <= count / 6
    np.testing.assert_array_equal(sort_pixels(given, options).labels.flatten(), whole.nearest(whole.rows, labels))


@needs_bytes
@pytest.mark.parametrize("noise", [0.0, 0.5, 100.0])
def test_bytes_are_as_good_as_floats(noise: float) -> None:
    given = embeddings(32, 90, 120, noise)
    features = sorting_features(given, 1.0)[0]

    def mean_cosine(found: SortedPixels) -> float:
        return float((features * found.theta[0][found.labels.flatten()]).sum(dim=1).mean())

    floats, bytes_ = (sort_pixels(given, SortingOptions(64, precision=kind)) for kind in ("float32", "int8"))  # type: ignore[arg-type]
    assert mean_cosine(bytes_) == pytest.approx(mean_cosine(floats), abs=0.0005)
    own = normalize(
        torch.zeros(64, 34, dtype=torch.float64).index_add_(0, bytes_.labels.flatten(), features.double())
    ).float()
    there = bytes_.labels.unique()
    torch.testing.assert_close(bytes_.theta[0][there], own[there], atol=1e-6, rtol=0)  # means are of float32 rows


@needs_bytes
def test_what_is_left_out_is_never_sorted() -> None:
    valid = torch.rand(1, 33, 41, generator=torch.Generator().manual_seed(1)) > 0.4
    changed = torch.where(valid[:, None], embeddings(), -embeddings())
    options = SortingOptions(9, 5, coarse_iterations=2, precision="int8")
    found, other = (sort_pixels(given, options, valid) for given in (embeddings(), changed))
    assert torch.equal(found.labels, other.labels)
    assert torch.equal(found.labels == -1, ~valid)


@needs_bytes
def test_pixels_all_alike_stay_where_they_are() -> None:
    alike = torch.ones(1, 4, 12, 16) / 2
    found = sort_pixels(alike, SortingOptions(9, location_weight=0.0, precision="int8"))
    assert torch.equal(found.labels[0], grid_labels(12, 16, 9))


def test_without_the_instructions_bytes_are_floats(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: Any) -> None:
        raise AssertionError("this processor cannot do it")

    monkeypatch.setattr(byte_kernels, "supported", lambda: False)
    monkeypatch.setattr(byte_kernels, "sort", never)
    floats, bytes_ = (sort_pixels(embeddings(), SortingOptions(9, precision=kind)) for kind in ("float32", "int8"))  # type: ignore[arg-type]
    assert torch.equal(floats.labels, bytes_.labels)
    assert torch.equal(floats.theta, bytes_.theta)


@pytest.mark.parametrize(
    ("features", "able"),
    [
        ("+avx2,+avx512f,+avx512bw,+avx512vnni", True),
        ("+avx2,+avx512f,+avx512bw,-avx512vnni", False),
        ("+avx2,+avxvnni", False),
        ("", False),
    ],
)
def test_what_is_compiled_for_says_whether_it_can_be_done(
    monkeypatch: pytest.MonkeyPatch, features: str, able: bool
) -> None:
    class Codegen:
        def magic_tuple(self) -> tuple[str, str, str]:
            return "x86_64-unknown-linux-gnu", "some", features

    monkeypatch.setattr(byte_kernels.cpu_target.target_context, "codegen", Codegen)
    assert byte_kernels.supported.__wrapped__() is able


def test_a_piece_is_whole_blocks_of_rows() -> None:
    assert PIECE % byte_kernels.ROWS == 0


def nearest_in_numpy(
    rows: np.ndarray, theta: np.ndarray, bias: np.ndarray, own: np.ndarray, target: np.ndarray
) -> bool:
    """What `nearest` does, without the processor's instruction."""
    x = np.ascontiguousarray(rows.T).view(np.uint8).astype(np.int64)
    products = x @ np.ascontiguousarray(theta).view(np.int8).astype(np.int64).T + bias
    held = products[np.arange(byte_kernels.ROWS), own]
    target[:] = np.where(held == products.max(axis=1), own, products.argmax(axis=1))
    return bool((target != own).any())


@pytest.fixture
def in_python(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the source of the loops in Python, with numpy in the place of the instruction: works on any processor."""
    for name in (
        "_move_to_nearest",
        "_lead",
        "count_lost",
        "gather",
        "extent",
        "find_centre",
        "sort_rows",
    ):
        monkeypatch.setattr(byte_kernels, name, getattr(byte_kernels, name).py_func)
    monkeypatch.setattr(byte_kernels, "nearest", nearest_in_numpy)
    monkeypatch.setattr(kmeans, "_add_up", kmeans._add_up.py_func)


def sorted_in_bytes(rows: np.ndarray, labels: np.ndarray, count: int, iterations: int) -> byte_kernels.ByteSorting:
    """The arrays of a sorting at the end of its steps in bytes; `remaining` tells whether it fell back."""
    work = byte_kernels.ByteSorting.allocate(kmeans.Sorting.allocate(rows, labels.copy(), count, iterations, 1))
    byte_kernels.sort_rows(work, iterations, 0)
    return work


@pytest.mark.usefixtures("in_python")
@pytest.mark.parametrize("count", [1, 31, 32, 33, PIECE - 1, PIECE, PIECE + 40])
def test_steps_in_bytes_are_those_of_whole_numbers_on_any_processor(count: int) -> None:
    random = np.random.default_rng(count)
    rows = random.standard_normal((count, 10)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    labels = random.integers(0, 7, count)
    whole = rounded(rows, labels, 7)
    work = sorted_in_bytes(rows, labels, 7, 1)
    assert work.remaining[0] == 0
    np.testing.assert_array_equal(work.floats.labels, whole.nearest(whole.rows, labels))


KINDS = patches(10, (48, 64)).ravel()


def sorted_cone(given: np.ndarray, weight: float, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features [N, D], starting labels [N], and labels [N] of float32 sorting in ten iterations."""
    tensor = torch.from_numpy(given)
    rows, start = sorting_features(tensor, weight)[0].numpy(), grid_labels(*given.shape[2:], count).flatten().numpy()
    return rows, start, sort_pixels(tensor, SortingOptions(count, 10, weight)).labels.flatten().numpy()


@pytest.mark.usefixtures("in_python")
@pytest.mark.parametrize("weight", [0.0, 1.0])
@pytest.mark.parametrize("degrees", [1, 5, 10, 20])
@pytest.mark.parametrize("dimension", [8, 32, 64])
def test_bytes_sort_a_narrow_cone_as_floats_do(dimension: int, degrees: float, weight: float) -> None:
    rows, start, floats = sorted_cone(cone(degrees, dimension), weight, 12)
    work = sorted_in_bytes(rows, start, 12, 10)
    assert work.remaining[0] == 0  # without a fallback
    found = work.floats.labels
    assert len(np.unique(found)) == pytest.approx(len(np.unique(floats)), abs=2)
    assert purity(found, KINDS) > purity(floats, KINDS) - 0.02
    means, step = means_of(rows, floats, 12)[0], sorted_in_bytes(rows, floats, 12, 1).floats.labels
    cosines, spread = rows @ means.T, 1 - np.square(rows.mean(axis=0)).sum()
    short = cosines[:, np.unique(floats)].max(axis=1) - cosines[np.arange(len(rows)), step]
    assert short.max() < 0.01 * spread  # as `SortingOptions` says


@pytest.mark.usefixtures("in_python")
@pytest.mark.parametrize("degrees", [1, 5])
@pytest.mark.parametrize("dimension", [8, 32, 64])
def test_floats_sort_several_narrow_cones(dimension: int, degrees: float) -> None:
    """Beside the distance of the cones, bytes do not see the means within one."""
    rows, start, floats = sorted_cone(cones(degrees, dimension), 0.0, 48)
    assert lost(rows, start, 48) > 48 / 6
    assert sorted_in_bytes(rows, start, 48, 10).remaining[0] == 10
    found = start.copy()
    byte_kernels.sort(rows, found, 48, 10, 1)
    np.testing.assert_array_equal(found, floats)
    kinds = (4 * thirds((48, 64)) + patches(4, (48, 64))).ravel()
    assert purity(found, kinds) > 0.99


@pytest.mark.usefixtures("in_python")
@pytest.mark.parametrize(
    ("lost_in", "steps_in_floats"), [(set(), []), ({0}, [1]), ({1}, [1]), ({0, 1}, [1, 9]), ({1, 2}, [1, 8])]
)
def test_after_a_fallback_one_step_is_in_floats_and_after_another_all_are(
    monkeypatch: pytest.MonkeyPatch, lost_in: set[int], steps_in_floats: list[int]
) -> None:
    """`lost_in`: which of the comparisons of means, counted from 0, find them lost."""
    rows, start, _ = sorted_cone(cone(20, 8), 0.0, 40)
    comparisons, steps, sort = count(), [], kmeans.sort

    def in_floats(rows: np.ndarray, labels: np.ndarray, means: int, iterations: int, threads: int) -> np.ndarray:
        steps.append(iterations)
        return sort(rows, labels, means, iterations, threads)

    monkeypatch.setattr(byte_kernels, "count_lost", lambda *_: 40 if next(comparisons) in lost_in else 0)
    monkeypatch.setattr(kmeans, "sort", in_floats)
    byte_kernels.sort(rows, start, 40, 10, 1)
    assert steps == steps_in_floats


@pytest.mark.usefixtures("in_python")
@pytest.mark.parametrize(("lost_means", "falls_back"), [(6, False), (7, True)])
def test_more_than_a_sixth_of_the_means_must_be_lost(
    monkeypatch: pytest.MonkeyPatch, lost_means: int, falls_back: bool
) -> None:
    monkeypatch.setattr(byte_kernels, "count_lost", lambda *_: lost_means)
    rows, start, _ = sorted_cone(cone(20, 8), 0.0, 40)
    assert sorted_in_bytes(rows, start, 40, 1).remaining[0] == (1 if falls_back else 0)


@pytest.mark.usefixtures("in_python")
@pytest.mark.parametrize("given", [cone(1, 8), cones(1, 8), cones(5, 32), cone(20, 64)])
def test_lost_means_are_those_that_rounding_assigns_to_others(given: np.ndarray) -> None:
    rows, start, _ = sorted_cone(given, 0.0, 40)
    work = sorted_in_bytes(rows, start, 40, 1)
    rows_of_means, depth = np.empty((40, rows.shape[1]), np.float32), work.packed.shape[1]
    blocks, buffer = np.zeros((2, depth, byte_kernels.ROWS), np.int32), np.full(4 * depth, 128, np.uint8)
    floats = work.floats
    floats.sums[0], floats.sizes[0] = means_of(rows, start, 40)[1], np.bincount(start, minlength=40)
    byte_kernels._lead(work, 1, 0, rows_of_means, blocks, buffer)
    assert byte_kernels.count_lost(work, rows_of_means, blocks, buffer) == lost(rows, start, 40)


@needs_bytes
@pytest.mark.parametrize("weight", [0.0, 1.0])
@pytest.mark.parametrize("degrees", [1, 5, 10, 20])
@pytest.mark.parametrize("dimension", [2, 3, 8, 32, 64])
def test_the_instruction_sorts_cones_as_floats_do(dimension: int, degrees: float, weight: float) -> None:
    for given, kinds in ((cone(degrees, dimension), KINDS), (cones(degrees, dimension), thirds((48, 64)).ravel())):
        tensor = torch.from_numpy(given)
        floats, bytes_ = (
            sort_pixels(tensor, SortingOptions(40, 10, weight, precision=kind)).labels.flatten().numpy()
            for kind in ("float32", "int8")  # type: ignore[arg-type]
        )
        assert purity(bytes_, kinds) > purity(floats, kinds) - 0.02
        assert len(np.unique(bytes_)) == pytest.approx(len(np.unique(floats)), abs=3)


COMPILE = """
import numpy as np
from numba import typeof
from segsort.loops import kmeans, kmeans_bytes
assert kmeans_bytes.supported()
rows, labels = np.zeros((40, 5), np.float32), np.zeros(40, np.int64)
work = kmeans_bytes.ByteSorting.allocate(kmeans.Sorting.allocate(rows, labels, 3, 2, 1))
kmeans_bytes.sort_rows.compile((typeof(work), typeof(1), typeof(0)))
assert "vpdpbusd" in "".join(kmeans_bytes.nearest.inspect_asm().values()) or any(
    "vpdpbusd" in text for text in kmeans_bytes.sort_rows.inspect_asm().values()
)
"""


def test_the_instruction_is_compiled_for_a_processor_that_has_it(tmp_path: Path) -> None:
    """Compiles for such a processor on any processor, and runs nothing."""
    processor = {"NUMBA_CPU_NAME": "cascadelake", "NUMBA_CPU_FEATURES": "+avx512f,+avx512bw,+avx512vnni,+avx2,+fma"}
    subprocess.run(
        [sys.executable, "-c", COMPILE], env=os.environ | processor | {"NUMBA_CACHE_DIR": str(tmp_path)}, check=True
    )
