"""Drawing tools of painted streets: a pinhole camera over a bending road, an image with its label map, and colours."""

from collections.abc import Sequence
from functools import cache

import numpy as np
from PIL import Image, ImageDraw
from scipy.ndimage import gaussian_filter

WIDTH, HEIGHT = 480, 360
SCALE = 2  # supersampling: the image is drawn larger by this factor and then averaged, for smooth edges
TILE = 1024  # pixels; side and period of a noise tile

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
    """Part of a noise tile at a random position: [height, width] float32. It is a view; do not write to it."""
    tile = noise_tile(smoothness, int(random.integers(3)))
    y, x = random.integers(TILE, size=2)
    return tile[y : y + height, x : x + width]


class Camera:
    """A dashboard camera that projects metres in front of the car to pixels of the drawn image.

    X is to the right, Y up from the road, Z ahead. The road bends sideways by `bend` times Z squared.
    """

    def __init__(self, random: Random) -> None:
        self.focal = float(random.uniform(400, 620))
        self.height = float(random.uniform(1.15, 1.6))
        self.x = WIDTH * float(random.uniform(0.32, 0.68))
        self.horizon = HEIGHT * float(random.uniform(0.40, 0.56))
        self.bend = float(random.normal(0, 0.0016)) if random.random() < 0.5 else 0.0

    def point(self, X: float, Y: float, Z: float) -> Point:
        """Pixel (x, y) of a point in the drawn image, which is SCALE times as large as the result."""
        x = self.x + self.focal * (X / Z + self.bend * Z)
        y = self.horizon + self.focal * (self.height - Y) / Z
        if not (-2000.0 < x < 3000.0 and -2000.0 < y < 3000.0):
            x, y = min(max(x, -2000.0), 3000.0), min(max(y, -2000.0), 3000.0)
        return (x * SCALE, y * SCALE)

    def size(self, metres: float, Z: float) -> float:
        """Length in drawn pixels of a vertical or horizontal length in metres at distance Z."""
        return self.focal * metres / Z * SCALE


class Canvas:
    """An image and its label map. Both are drawn together, so the labels are exact.

    Args:
        sky: initial label of every pixel.
    """

    def __init__(self, sky: int) -> None:
        self.image = Image.new("RGB", (WIDTH * SCALE, HEIGHT * SCALE))
        self.labels = Image.new("L", (WIDTH * SCALE, HEIGHT * SCALE), sky)
        self._paint, self._mark = ImageDraw.Draw(self.image), ImageDraw.Draw(self.labels)

    def fill(self, image: Image.Image, label: int) -> None:
        """Fill everything with an image, enlarged to the size of the canvas."""
        self.image.paste(image.resize(self.image.size, Image.Resampling.BILINEAR))
        self.labels.paste(label, (0, 0, *self.labels.size))

    def polygon(self, points: Sequence[Point], color: Color, label: int | None) -> None:
        """Draw a filled polygon. With label None only the colours change, not the labels."""
        self._paint.polygon(points, fill=color)
        if label is not None:
            self._mark.polygon(points, fill=label)

    def mark(self, points: Sequence[Point], label: int) -> None:
        """Label a polygon without painting it: what is seen through a fence keeps its colours."""
        self._mark.polygon(points, fill=label)

    def line(self, points: Sequence[Point], color: Color, width: float, label: int | None) -> None:
        """Draw a line. The width is in drawn pixels, at least 1."""
        thickness = max(1, round(width))
        self._paint.line(points, fill=color, width=thickness)
        if label is not None:
            self._mark.line(points, fill=label, width=thickness)

    def ellipse(self, centre: Point, radius_x: float, radius_y: float, color: Color, label: int | None) -> None:
        """Draw a filled ellipse. The radii are in drawn pixels."""
        box = (centre[0] - radius_x, centre[1] - radius_y, centre[0] + radius_x, centre[1] + radius_y)
        self._paint.ellipse(box, fill=color)
        if label is not None:
            self._mark.ellipse(box, fill=label)

    def ring(self, centre: Point, radius_x: float, radius_y: float, color: Color, width: float, label: int) -> None:
        """Draw the outline of an ellipse and label all of it, as annotators do. Radii and width in drawn pixels."""
        box = (centre[0] - radius_x, centre[1] - radius_y, centre[0] + radius_x, centre[1] + radius_y)
        self._paint.ellipse(box, outline=color, width=max(1, round(width)))
        self._mark.ellipse(box, fill=label)

    def stamp(self, left: int, top: int, mask: np.ndarray, colors: np.ndarray, label: int | None) -> None:
        """Paste colours [h, w, 3] uint8 where the mask [h, w] bool is true, with the corner at (left, top)."""
        alpha = Image.fromarray(mask.astype(np.uint8) * 255)
        self.image.paste(Image.fromarray(colors), (left, top), alpha)
        if label is not None:
            self.labels.paste(label, (left, top), alpha)

    def finish(self) -> tuple[np.ndarray, np.ndarray]:
        """The result at its final size: image [HEIGHT, WIDTH, 3] float32 in 0..255, labels [HEIGHT, WIDTH] uint8."""
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
    """Multiply a colour by a factor."""
    r, g, b = (int(min(max(c * factor, 0), 255)) for c in color)
    return (r, g, b)


def vary(random: Random, color: Color, amount: float = 18) -> Color:
    """A random colour close to the given one."""
    shift, *each = (amount * random.standard_normal(4)).tolist()
    r, g, b = (int(min(max(c + shift + 0.22 * d, 0), 255)) for c, d in zip(color, each, strict=True))
    return (r, g, b)


def pick(random: Random, colors: Sequence[Color], amount: float = 18) -> Color:
    """A random variation of one of several colours."""
    return vary(random, colors[int(random.integers(len(colors)))], amount)
