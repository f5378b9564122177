"""Trees and bushes of painted streets."""

import math

import numpy as np
from PIL import Image

from index_builder.datasets.streets.canvas import Camera, Canvas, Color, Random, noise_patch, pick, shade, vary
from index_builder.datasets.streets.classes import TREE


def tree(canvas: Canvas, camera: Camera, random: Random, X: float, Z: float, bare: bool) -> None:
    """Draw a tree. The whole crown of a bare tree is labelled, with the sky between its twigs, as annotators do."""
    tall = random.uniform(4, 13)
    trunk = pick(random, ((70, 60, 50), (50, 44, 38), (95, 88, 75)))
    canvas.line(
        [camera.point(X, 0, Z), camera.point(X, tall * 0.6, Z)], trunk, camera.size(random.uniform(0.18, 0.5), Z), TREE
    )
    centre = camera.point(X, tall * 0.64, Z)
    radius_x, radius_y = (
        camera.size(tall * random.uniform(0.22, 0.4), Z),
        camera.size(tall * random.uniform(0.34, 0.42), Z),
    )
    if bare:
        _twigs(canvas, camera, random, X, Z, tall, (radius_x, radius_y))
    else:
        color = pick(random, ((70, 85, 45), (50, 65, 38), (95, 100, 60), (60, 60, 40), (110, 95, 60), (40, 55, 42)))
        crown(canvas, random, centre, radius_x, radius_y, color)


def _twigs(
    canvas: Canvas, camera: Camera, random: Random, X: float, Z: float, tall: float, radius: tuple[float, float]
) -> None:
    top = camera.point(X, tall * 0.64, Z)
    crown(canvas, random, top, radius[0], radius[1], None)
    color = pick(random, ((60, 52, 46), (85, 75, 66), (45, 42, 40), (105, 90, 80)))
    fork = camera.point(X, tall * 0.25, Z)
    for _ in range(int(random.integers(14, 30))):
        angle, far = random.uniform(-1.35, 1.35), random.uniform(0.5, 0.95)
        end = (
            top[0] + radius[0] * far * math.sin(angle),
            top[1] - radius[1] * far * math.cos(angle) * random.uniform(-0.3, 1),
        )
        middle = ((fork[0] + end[0]) / 2 + random.normal(0, radius[0] * 0.08), (fork[1] + end[1]) / 2)
        canvas.line([fork, middle, end], color, camera.size(random.uniform(0.04, 0.12), Z), None)
        for _ in range(5):
            twig = (end[0] + random.normal(0, radius[0] * 0.25), end[1] + random.normal(0, radius[1] * 0.2))
            start = middle if random.random() < 0.5 else end
            canvas.line([start, twig], shade(color, random.uniform(0.9, 1.3)), 1, None)


def crown(
    canvas: Canvas, random: Random, centre: tuple[float, float], radius_x: float, radius_y: float, color: Color | None
) -> None:
    """Draw a crown of leaves. With color None the whole crown is labelled, but only thin twigs are painted."""
    radius_x, radius_y = max(radius_x, 3), max(radius_y, 3)
    left, top = max(int(centre[0] - radius_x * 1.3), 0), max(int(centre[1] - radius_y * 1.3), 0)
    right = min(int(centre[0] + radius_x * 1.3), canvas.image.width)
    bottom = min(int(centre[1] + radius_y * 1.3), canvas.image.height)
    if right - left < 2 or bottom - top < 2:
        return
    y, x = np.mgrid[top:bottom, left:right].astype(np.float32)
    distance = ((x - centre[0]) / radius_x) ** 2 + ((y - centre[1]) / radius_y) ** 2
    height, width = distance.shape
    lumps = noise_patch(random, 24, height, width)
    leaves = noise_patch(random, 3 if radius_y > 60 else 1.5, height, width)
    inside = distance + 0.28 * lumps + 0.1 * leaves < 1
    if color is None:
        haze = np.broadcast_to(np.array(vary(random, (120, 110, 105), 20), np.uint8), (height, width, 3))
        canvas.stamp(left, top, inside & (noise_patch(random, 1.5, height, width) > 0.55), haze.copy(), TREE)
        canvas.labels.paste(TREE, (left, top), _alpha(inside))
        return
    light = 1 + 0.22 * lumps + 0.28 * leaves + 0.3 * (centre[1] - y) / radius_y
    colors = (np.asarray(color, dtype=np.float32) * light[:, :, None]).clip(0, 255).astype(np.uint8)
    canvas.stamp(left, top, inside, colors, TREE)


def _alpha(mask: np.ndarray) -> Image.Image:
    return Image.fromarray(mask.astype(np.uint8) * 255)
