"""What the painted streets are drawn on: a pinhole camera over a bending road, and a picture with its label map."""

from collections.abc import Sequence
from functools import cache

import numpy as np
from PIL import Image, ImageDraw
from scipy.ndimage import gaussian_filter

WIDTH, HEIGHT = 480, 360
SCALE = 2  # the picture is drawn this much larger and then averaged, so that its edges are smooth as a photograph's
TILE = 1024

Color = tuple[int, int, int]
Point = tuple[float, float]
Random = np.random.Generator


@cache
def noise_tile(smoothness: float, seed: int) -> np.ndarray:
    """[TILE + HEIGHT * SCALE, TILE + WIDTH * SCALE] float32 noise of period TILE, mean 0, standard deviation 1."""
    noise = np.random.default_rng(seed).standard_normal((TILE, TILE)).astype(np.float32)
    if smoothness > 0:
        noise = gaussian_filter(noise, smoothness, mode="wrap")
    noise = (noise - noise.mean()) / noise.std()
    return np.asarray(np.pad(noise, ((0, HEIGHT * SCALE), (0, WIDTH * SCALE)), mode="wrap"), dtype=np.float32)


def noise_patch(random: Random, smoothness: float, height: int, width: int) -> np.ndarray:
    """[height, width] float32 part of a noise tile, at a random place: a view, not to be written to."""
    tile = noise_tile(smoothness, int(random.integers(3)))
    y, x = random.integers(TILE, size=2)
    return tile[y : y + height, x : x + width]


class Camera:
    """A dashboard camera: metres in front of the car to pixels of the picture.

    X is to the right, Y up from the road, Z ahead; the road bends sideways by `bend` times Z squared.
    """

    def __init__(self, random: Random) -> None:
        self.focal = float(random.uniform(400, 620))
        self.height = float(random.uniform(1.15, 1.6))
        self.x = WIDTH * float(random.uniform(0.32, 0.68))
        self.horizon = HEIGHT * float(random.uniform(0.40, 0.56))
        self.bend = float(random.normal(0, 0.0016)) if random.random() < 0.5 else 0.0

    def point(self, X: float, Y: float, Z: float) -> Point:
        """Pixel (x, y) of a place, in the larger picture that is drawn."""
        x = self.x + self.focal * (X / Z + self.bend * Z)
        y = self.horizon + self.focal * (self.height - Y) / Z
        if not (-2000.0 < x < 3000.0 and -2000.0 < y < 3000.0):
            x, y = min(max(x, -2000.0), 3000.0), min(max(y, -2000.0), 3000.0)
        return (x * SCALE, y * SCALE)

    def size(self, metres: float, Z: float) -> float:
        """Length in drawn pixels of an upright or crosswise length at distance Z."""
        return self.focal * metres / Z * SCALE


class Canvas:
    """A picture and its label map, drawn together so that labels are exact."""

    def __init__(self, sky: int) -> None:
        self.image = Image.new("RGB", (WIDTH * SCALE, HEIGHT * SCALE))
        self.labels = Image.new("L", (WIDTH * SCALE, HEIGHT * SCALE), sky)
        self._paint, self._mark = ImageDraw.Draw(self.image), ImageDraw.Draw(self.labels)

    def fill(self, picture: Image.Image, label: int) -> None:
        """Cover everything with a smaller picture, enlarged."""
        self.image.paste(picture.resize(self.image.size, Image.Resampling.BILINEAR))
        self.labels.paste(label, (0, 0, *self.labels.size))

    def polygon(self, points: Sequence[Point], color: Color, label: int | None) -> None:
        """A filled polygon; label None paints over what is there without changing what it is."""
        self._paint.polygon(points, fill=color)
        if label is not None:
            self._mark.polygon(points, fill=label)

    def line(self, points: Sequence[Point], color: Color, width: float, label: int | None) -> None:
        """A line of a width in drawn pixels, at least one."""
        thickness = max(1, round(width))
        self._paint.line(points, fill=color, width=thickness)
        if label is not None:
            self._mark.line(points, fill=label, width=thickness)

    def ellipse(self, centre: Point, radius_x: float, radius_y: float, color: Color, label: int | None) -> None:
        """A filled ellipse, radii in drawn pixels."""
        box = (centre[0] - radius_x, centre[1] - radius_y, centre[0] + radius_x, centre[1] + radius_y)
        self._paint.ellipse(box, fill=color)
        if label is not None:
            self._mark.ellipse(box, fill=label)

    def ring(self, centre: Point, radius_x: float, radius_y: float, color: Color, width: float, label: int) -> None:
        """An ellipse's outline."""
        box = (centre[0] - radius_x, centre[1] - radius_y, centre[0] + radius_x, centre[1] + radius_y)
        for draw, fill in ((self._paint, color), (self._mark, label)):
            draw.ellipse(box, outline=fill, width=max(1, round(width)))

    def stamp(self, left: int, top: int, mask: np.ndarray, colors: np.ndarray, label: int | None) -> None:
        """Put in [h, w, 3] uint8 colours where the [h, w] bool mask is true, with its corner at (left, top)."""
        alpha = Image.fromarray(mask.astype(np.uint8) * 255)
        self.image.paste(Image.fromarray(colors), (left, top), alpha)
        if label is not None:
            self.labels.paste(label, (left, top), alpha)

    def finish(self) -> tuple[np.ndarray, np.ndarray]:
        """[HEIGHT, WIDTH, 3] float32 picture in 0..255 and [HEIGHT, WIDTH] uint8 labels."""
        image = np.array(self.image.reduce(SCALE), dtype=np.float32)
        labels = np.array(self.labels)[SCALE // 2 :: SCALE, SCALE // 2 :: SCALE]
        return image, labels


def quad(
    camera: Camera, X: tuple[float, float], Y: tuple[float, float], Z: tuple[float, float]
) -> list[tuple[float, float]]:
    """Corners of an upright rectangle whose foot runs from (X[0], Z[0]) to (X[1], Z[1])."""
    return [
        camera.point(X[0], Y[0], Z[0]), camera.point(X[1], Y[0], Z[1]),
        camera.point(X[1], Y[1], Z[1]), camera.point(X[0], Y[1], Z[0]),
    ]  # fmt: skip


def shade(color: Color | np.ndarray, factor: float) -> Color:
    """A colour made darker or lighter."""
    r, g, b = (int(min(max(c * factor, 0), 255)) for c in color)
    return (r, g, b)


def vary(random: Random, color: Color, amount: float = 18) -> Color:
    """A colour near another."""
    shift, *each = (amount * random.standard_normal(4)).tolist()
    r, g, b = (int(min(max(c + shift + 0.22 * d, 0), 255)) for c, d in zip(color, each, strict=True))
    return (r, g, b)


def pick(random: Random, colors: Sequence[Color], amount: float = 18) -> Color:
    """One of several colours, varied."""
    return vary(random, colors[int(random.integers(len(colors)))], amount)
