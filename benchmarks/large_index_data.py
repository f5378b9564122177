"""Millions of realistic exemplars: segments of real images, and more of them that follow their local spread.

`segments_of` embeds images with the bundled network and sorts their pixels into segments. `enlarged` draws from a
kernel density estimate over these prototypes. The kernel at a prototype p is a Gaussian with the covariance of the
NEIGHBOURS prototypes of other images that are nearest to p, scaled by BANDWIDTH:

    x = normalise(p + BANDWIDTH * sum_j g_j (n_j - mean(n)) / sqrt(NEIGHBOURS)),    g_j ~ N(0, 1)

So a drawn vector moves only in directions in which segments of other images differ, and as far as they differ there.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from index_builder.progress import counted
from model_store.predictor import Predictor
from model_store.release import Release
from model_store.store import BUNDLED
from segsort import loops

NEIGHBOURS, BANDWIDTH, SEED = 16, 0.5, 0
QUERIED = "0001TP"  # the drive of CamVid that gives queries
_AT_ONCE = 50_000  # vectors that are drawn at a time
_COMPARED = 256  # prototypes of which the neighbours are searched at a time
_NEAREST = 64  # neighbours that are searched, among which are those of the same image


class RealSegments(NamedTuple):
    """Segments of real images.

    prototypes: [n, D] float32 unit vectors; class_ids: [n] int64, by the vote of the bundled release; image_ids: [n]
    int64, position of the image; areas: [n] int64, pixels.
    """

    prototypes: np.ndarray
    class_ids: np.ndarray
    image_ids: np.ndarray
    areas: np.ndarray


def segments_of(files: Iterable[Path], predictor: Predictor, mirrored: bool = False) -> RealSegments:
    """Segment images with a release.

    Args:
        files: images.
        predictor: of the release.
        mirrored: whether each image is also segmented mirrored. Both are the same image for `enlarged`.
    """
    prototypes, class_ids, image_ids, areas = [], [], [], []
    files = list(files)
    for number in counted(len(files), "embedding"):
        image = np.asarray(Image.open(files[number]).convert("RGB"))
        for view in (image, np.ascontiguousarray(image[:, ::-1]))[: 1 + mirrored]:
            found = predictor.predict(view)
            prototypes.append(found.segments.prototypes)
            class_ids.append(found.vote.class_ids)
            image_ids.append(np.full(len(found.segments.areas), number))
            areas.append(found.segments.areas)
    return RealSegments(*(np.concatenate(one) for one in (prototypes, class_ids, image_ids, areas)))


def spreads(real: RealSegments) -> np.ndarray:
    """[n, NEIGHBOURS, D] float32: how the nearest prototypes of other images differ from their mean."""
    around = np.empty((len(real.prototypes), NEIGHBOURS), dtype=np.int64)
    for start in counted_steps(len(real.prototypes), _COMPARED):
        part = slice(start, start + _COMPARED)
        found = loops.nearest_rows(real.prototypes, real.prototypes[part], min(_NEAREST, len(real.prototypes)))[1]
        own = real.image_ids[found] == real.image_ids[part, None]
        order = np.argsort(own, axis=1, kind="stable")[:, :NEIGHBOURS]  # those of other images first, nearest first
        around[part] = np.take_along_axis(found, order, axis=1)
    vectors = real.prototypes[around]
    return np.asarray(vectors - vectors.mean(axis=1, keepdims=True))


def enlarged(real: RealSegments, count: int, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Draw `count` vectors in parts, in an order without structure.

    Yields:
        Unit vectors [m, D] float32, and the rows [m] of the prototypes that they were drawn around. A vector has the
        class of that prototype.
    """
    random, around = np.random.default_rng(seed), spreads(real)
    for start in range(0, count, _AT_ONCE):
        rows = random.integers(0, len(real.prototypes), min(_AT_ONCE, count - start))
        amounts = random.standard_normal((len(rows), NEIGHBOURS), dtype=np.float32)
        moved = np.einsum("nj,njd->nd", amounts, around[rows]) * np.float32(BANDWIDTH / NEIGHBOURS**0.5)
        moved += real.prototypes[rows]
        moved /= np.linalg.norm(moved, axis=1, keepdims=True)
        yield moved, rows


def intrinsic_dimension(prototypes: np.ndarray, queries: np.ndarray, k: int = 20) -> float:
    """Estimate of how many directions the vectors around queries spread in (Levina and Bickel, NIPS 2004).

    It is the mean over queries of the maximum-likelihood estimate from the k nearest, by the angle's sine.
    """
    cosines = loops.nearest_rows(prototypes, queries, k)[0].clip(-1, 1).astype(np.float64)
    distances = np.sqrt(np.maximum(2 - 2 * cosines, 1e-12))
    inverse = np.log(distances[:, -1:] / distances[:, :-1]).mean(axis=1)
    return float(1 / inverse.mean())


def counted_steps(count: int, step: int) -> Iterator[int]:
    """0, step, 2 * step, ... below `count`, with a progress bar."""
    for n in counted(-(-count // step), "neighbours"):
        yield n * step


class Material(NamedTuple):
    """Data of the benchmark, in files of a work folder.

    prototypes: [N, D] float32, mapped; class_ids: [N] uint8, mapped; queries, foreign: segments of street images and of
    photographs of anything, none of which gave a prototype; facts: for the report.
    """

    prototypes: np.ndarray
    class_ids: np.ndarray
    queries: RealSegments
    foreign: RealSegments
    facts: dict[str, int]


def material(data: Path, work: Path, count: int) -> Material:
    """The data of the benchmark. Whatever an earlier run has written into `work` is read from there.

    Prototypes come from two of CamVid's three drives and from the training photographs of LabelMeFacade, each as it is
    and mirrored. Queries come from the third drive and the other facades, foreign queries from BSDS500.
    """
    camvid, facades = sorted((data / "camvid/train").glob("*.jpg")), data / "facades/images"
    drive = [file for file in camvid if file.name.startswith(QUERIED)]
    base = [file for file in camvid if file not in drive] + sorted((facades / "train").glob("*.jpg"))
    real = _segments(work / "base.npz", base, mirrored=True)
    queries = _segments(work / "queries.npz", drive + sorted((facades / "val").glob("*.jpg")))
    foreign = _segments(work / "foreign.npz", sorted((data / "bsds500/val").glob("*.jpg")))
    rows, classes = work / f"prototypes-{count}.npy", work / f"classes-{count}.npy"
    if not (rows.exists() and classes.exists()):
        _write(real, count, rows, classes)
    facts = {
        "real segments": len(real.prototypes),
        "images": len(base),
        "queries": len(queries.prototypes),
        "foreign queries": len(foreign.prototypes),
    }
    return Material(np.load(rows, mmap_mode="c"), np.load(classes, mmap_mode="c"), queries, foreign, facts)


def _segments(file: Path, images: list[Path], mirrored: bool = False) -> RealSegments:
    """Segments of images, read from a file that is written if it is not there."""
    if not images:
        raise ValueError("an image folder is empty; give --data a folder with camvid, facades and bsds500")
    if not file.exists():
        predictor = Predictor(Release.open(BUNDLED / "streets"), threads=1)
        part = file.with_suffix(".part.npz")
        np.savez(part, **segments_of(images, predictor, mirrored)._asdict())
        part.replace(file)
    with np.load(file) as columns:
        return RealSegments(**{name: columns[name] for name in RealSegments._fields})


def _write(real: RealSegments, count: int, rows: Path, classes: Path) -> None:
    """Write enlarged prototypes and their classes; a file has its name only when it is complete."""
    vectors_part, classes_part = rows.with_suffix(".part"), classes.with_suffix(".part")
    vectors = np.lib.format.open_memmap(vectors_part, "w+", np.float32, (count, real.prototypes.shape[1]))
    labels = np.lib.format.open_memmap(classes_part, "w+", np.uint8, (count,))
    done = 0
    for moved, around in enlarged(real, count, SEED):
        vectors[done : done + len(moved)], labels[done : done + len(moved)] = moved, real.class_ids[around]
        done += len(moved)
    vectors.flush()
    labels.flush()
    vectors_part.replace(rows)
    classes_part.replace(classes)
