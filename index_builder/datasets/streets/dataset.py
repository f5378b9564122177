"""Painted streets: labelled scenes made from a seed; nothing need be downloaded, and all of it may be published."""

from collections.abc import Callable
from functools import partial

import numpy as np

from index_builder.datasets.camvid import CLASSES
from index_builder.datasets.samples import IGNORE, Photograph, Sample
from index_builder.datasets.streets.canvas import HEIGHT, SCALE, WIDTH, Camera, Canvas, Random, pick, vary
from index_builder.datasets.streets.photo_effects import photograph
from index_builder.datasets.streets.scene import Layout, buildings, ground, layout, markings, sky, skyline
from index_builder.datasets.streets.things import (
    bollard,
    cyclist,
    fence,
    lamp_post,
    parked_bicycles,
    person,
    road_sign,
    traffic_light,
    vehicle,
)
from index_builder.datasets.streets.trees import tree

Thing = tuple[float, Callable[[], None]]  # distance in metres, and what draws it
Further = Callable[[Canvas, Camera, Layout], list[Thing]]
FIRST_SEEDS = {"train": 0, "val": 10_000_000, "test": 20_000_000}


class Streets:
    """Painted streets with the classes of CamVid, 480x360.

    Args:
        split: "train", "val" or "test"; their seeds do not overlap.
        count: how many images.

    Raises:
        ValueError: if the split is unknown or the count is not in 1..10,000,000.
    """

    name = "streets"
    classes = CLASSES

    def __init__(self, split: str, count: int = 400) -> None:
        if split not in FIRST_SEEDS:
            raise ValueError(f"split {split!r} of streets is not known; choose {', '.join(FIRST_SEEDS)}")
        if not 1 <= count <= 10_000_000:
            raise ValueError(f"count={count}: between 1 and 10,000,000 streets can be painted")
        self.split, self.count = split, count

    def __len__(self) -> int:
        return self.count

    def photograph(self, i: int) -> Photograph:
        sample = self[i]
        return Photograph(sample.image, sample.source)

    def __getitem__(self, i: int) -> Sample:
        if not 0 <= i < self.count:
            raise IndexError(f"street {i} of {self.count}")
        image, labels = paint_street(FIRST_SEEDS[self.split] + i)
        return Sample(image, labels, f"streets/{self.split}/{i:06d}")


def paint_street(seed: int, further: Further | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Paint one street; the same seed gives the same street.

    Args:
        seed: of the street.
        further: what else stands in it, hidden by what is nearer and hiding what is farther.

    Returns:
        [360, 480, 3] uint8 RGB image and [360, 480] uint8 labels, a class id or IGNORE.
    """
    random = np.random.default_rng([seed, 71])
    camera, canvas = Camera(random), Canvas(0)
    street = layout(random)
    sky(canvas, camera, random)
    skyline(canvas, camera, random)
    ground(canvas, camera, random, street)
    _green_sides(canvas, camera, random, street)
    buildings(canvas, camera, random, street)
    markings(canvas, camera, random, street)
    things = _things(canvas, camera, random, street) + (further(canvas, camera, street) if further else [])
    for _, draw in sorted(things, key=lambda thing: -thing[0]):
        draw()
    if random.random() < 0.25:
        _bonnet(canvas, random)
    image, labels = canvas.finish()
    return photograph(image, labels, camera, random), labels


def _green_sides(canvas: Canvas, camera: Camera, random: Random, street: Layout) -> None:
    """Rows of trees and bushes where a side is open."""
    for side, is_open in enumerate(street.open_side):
        if not is_open:
            continue
        outwards, bare = (-1 if side == 0 else 1), random.random() < 0.45
        for z in sorted(random.uniform(8, 90, int(random.integers(5, 16))), reverse=True):
            X = street.pavement[side] + outwards * random.uniform(1, 20)
            tree(canvas, camera, random, X, float(z), bool(bare or random.random() < 0.2))


def _things(canvas: Canvas, camera: Camera, random: Random, street: Layout) -> list[Thing]:
    """Everything that stands on the ground."""
    left, right = street.road
    out: list[Thing] = []

    def put(z: float, draw: Callable[..., None], *arguments: object) -> None:
        out.append((z, partial(draw, canvas, camera, random, *arguments)))

    def depth(near: float, far: float) -> float:
        return float(np.exp(random.uniform(np.log(near), np.log(far))))

    for side, edge, outwards in ((0, left, -1), (1, right, 1)):
        walk = abs(street.pavement[side] - edge)
        kerb = edge + outwards * min(0.45, walk / 2 + 0.05)
        for _ in range(int(random.poisson(1.6))):
            put(z := depth(5, 55), lamp_post, kerb + random.normal(0, 0.1), z)
        for _ in range(int(random.poisson(0.9))):
            put(z := depth(5, 40), traffic_light, kerb, z)
        for _ in range(int(random.poisson(1.2))):
            put(z := depth(5, 35), road_sign, kerb + random.normal(0, 0.1), z)
        if random.random() < 0.3:
            start, step = depth(4, 15), random.uniform(1.2, 3)
            for i in range(int(random.integers(2, 9))):
                put(z := start + i * step, bollard, kerb, z)
        if random.random() < (0.3 if not street.open_side[side] else 0.5):
            z0 = depth(3, 25)
            at = street.pavement[side] if random.random() < 0.7 else kerb
            put(z0 + 2, fence, at, (z0, z0 + random.uniform(3, 22)))
        for _ in range(int(random.poisson(0.5))):
            put(
                z := depth(7, 60),
                tree,
                edge + outwards * random.uniform(0.8, max(walk, 1.0) + 1),
                z,
                bool(random.random() < 0.5),
            )
        for _ in range(int(random.poisson(2.2))):
            x = edge + outwards * random.uniform(0.4, max(walk, 0.6))
            put(z := depth(4.5, 45), person, x, z)
            if random.random() < 0.35:
                put(z + 0.4, person, x + random.uniform(0.4, 0.7), z + 0.4)
        if random.random() < 0.3:
            start = depth(4, 25)
            for i in range(int(random.integers(1, 7))):
                put(z := start + i * random.uniform(5, 6.5), vehicle, edge - outwards * 1.1, z)
        if random.random() < 0.12:
            put(z := depth(4, 15), parked_bicycles, edge + outwards * walk * 0.8, z)
    for _ in range(int(random.poisson(1.6))):
        put(
            z := depth(6, 80),
            vehicle,
            random.uniform(left + 1.2, max(right - 1.2, left + 1.4)),
            z,
            bool(random.random() < 0.12),
        )
    for _ in range(int(random.poisson(1.0))):
        put(z := depth(4.5, 40), cyclist, random.uniform(left + 0.3, right - 0.3), z)
    for _ in range(int(random.poisson(0.35))):
        put(z := depth(6, 40), person, random.uniform(left, right), z)
    return out


def _bonnet(canvas: Canvas, random: Random) -> None:
    """The bonnet of the car that carries the camera: no class."""
    width, height = WIDTH * SCALE, HEIGHT * SCALE
    top = height - random.uniform(6, 50)
    points = [
        (0.0, height),
        *((x, top + ((x / width - 0.6) ** 2) * random.uniform(40, 160)) for x in np.linspace(0, width, 9)),
        (width, height),
    ]
    canvas.polygon(
        [(float(x), float(y)) for x, y in points], vary(random, pick(random, ((20, 20, 22), (60, 62, 66)))), IGNORE
    )
