"""Lamp posts, bollards, traffic lights, road signs and fences of painted streets."""

import math

import numpy as np

from index_builder.datasets.streets.canvas import SCALE, Camera, Canvas, Random, pick, quad, shade, vary
from index_builder.datasets.streets.classes import FENCE, POLE, SIGN


def lamp_post(canvas: Canvas, camera: Camera, random: Random, X: float, Z: float) -> None:
    """Draw a lamp post, mostly with an arm and a lamp."""
    tall, wide = random.uniform(5, 10), random.uniform(0.1, 0.2)
    color = pick(random, ((60, 62, 62), (110, 112, 112), (30, 32, 34), (150, 152, 150), (50, 66, 58)))
    width = max(camera.size(wide, Z), 1.6 * SCALE)
    canvas.line([camera.point(X, 0, Z), camera.point(X, tall, Z)], color, width, POLE)
    canvas.line([camera.point(X, 0, Z), camera.point(X, 1.2, Z)], color, width * 1.4, POLE)
    if random.random() < 0.75:
        out = (-1 if X > 0 else 1) * random.uniform(0.6, 2.2)
        top = tall + random.uniform(0, 0.5)
        canvas.line(
            [camera.point(X, tall, Z), camera.point(X + out * 0.5, top, Z), camera.point(X + out, top, Z)],
            color,
            width * 0.6,
            POLE,
        )
        canvas.line(
            [camera.point(X + out, top, Z), camera.point(X + out * 1.35, top, Z)], shade(color, 1.2), width, POLE
        )


def bollard(canvas: Canvas, camera: Camera, random: Random, X: float, Z: float) -> None:
    """Draw a bollard."""
    color = pick(random, ((25, 25, 28), (210, 210, 205), (90, 90, 92), (120, 40, 35)))
    canvas.line(
        [camera.point(X, 0, Z), camera.point(X, random.uniform(0.8, 1.1), Z)],
        color,
        max(camera.size(0.14, Z), 2.0),
        POLE,
    )


def traffic_light(canvas: Canvas, camera: Camera, random: Random, X: float, Z: float) -> None:
    """Draw one or two signal heads on a post."""
    tall = random.uniform(2.6, 3.6)
    canvas.line(
        [camera.point(X, 0, Z), camera.point(X, tall, Z)],
        pick(random, ((70, 72, 72), (40, 40, 42), (130, 132, 130))),
        max(camera.size(0.12, Z), 1.6 * SCALE),
        POLE,
    )
    lit = int(random.integers(3))
    for side in (0.0,) if random.random() < 0.6 else (-0.3, 0.3):
        canvas.polygon(
            quad(camera, (X + side - 0.19, X + side + 0.19), (tall - 1.0, tall + 0.05), (Z, Z)),
            vary(random, (24, 24, 26), 8),
            SIGN,
        )
        for i, lamp in enumerate(((220, 40, 30), (230, 160, 40), (40, 210, 120))):
            color = lamp if i == lit else shade(lamp, 0.2)
            canvas.ellipse(
                camera.point(X + side, tall - 0.15 - 0.32 * i, Z),
                camera.size(0.11, Z),
                camera.size(0.11, Z),
                (color[0], color[1], color[2]),
                None,
            )


def road_sign(canvas: Canvas, camera: Camera, random: Random, X: float, Z: float) -> None:
    """Draw a disc, triangle or board on a post."""
    foot = random.uniform(1.8, 2.6)
    canvas.line(
        [camera.point(X, 0, Z), camera.point(X, foot + 0.4, Z)],
        pick(random, ((100, 102, 104), (60, 60, 62))),
        max(camera.size(0.08, Z), 1.4 * SCALE),
        POLE,
    )
    radius, Y = random.uniform(0.28, 0.42), foot + 0.35
    centre = camera.point(X, Y, Z)
    kind = random.integers(4)
    if kind == 0:
        rim, inner = pick(random, ((190, 30, 35), (30, 70, 160))), pick(random, ((235, 235, 235), (40, 80, 170)))
        canvas.ellipse(centre, camera.size(radius, Z), camera.size(radius, Z), rim, SIGN)
        canvas.ellipse(centre, camera.size(radius * 0.72, Z), camera.size(radius * 0.72, Z), inner, None)
        canvas.line(
            [camera.point(X - radius * 0.4, Y, Z), camera.point(X + radius * 0.4, Y, Z)],
            (30, 30, 30),
            camera.size(0.09, Z),
            None,
        )
    elif kind == 1:
        for size, color, label in ((1.2, (195, 30, 35), SIGN), (0.75, (235, 235, 232), None)):
            corners = [(X + size * radius * math.sin(a), Y + size * radius * math.cos(a)) for a in (0, 2.1, 4.19)]
            canvas.polygon([camera.point(x, y, Z) for x, y in corners], color, label)
    else:
        half, up = random.uniform(0.25, 1.1), random.uniform(0.2, 0.6)
        color = pick(random, ((35, 80, 160), (20, 100, 60), (235, 235, 230), (235, 200, 60), (120, 80, 50)))
        canvas.polygon(quad(camera, (X - half, X + half), (foot, foot + 2 * up), (Z, Z)), color, SIGN)
        ink = (240, 240, 240) if sum(color) < 420 else (30, 30, 40)
        for i in range(int(random.integers(1, 4))):
            y = foot + 2 * up * (0.2 + 0.27 * i)
            canvas.line(
                [camera.point(X - half * 0.75, y, Z), camera.point(X + half * random.uniform(0, 0.75), y, Z)],
                ink,
                camera.size(up * 0.22, Z),
                None,
            )


def fence(canvas: Canvas, camera: Camera, random: Random, X: float, Z: tuple[float, float]) -> None:
    """Draw railings or panels along the road, from Z[0] to Z[1]."""
    tall = random.uniform(0.9, 2.2)
    kind = random.integers(3)
    posts = np.linspace(Z[0], Z[1], 2 + int((Z[1] - Z[0]) * (5 if kind == 0 else 0.6)))
    if kind == 0:  # railings: the background is visible between the bars, but labelled as fence
        behind = pick(random, ((95, 100, 90), (120, 118, 110), (70, 75, 66)))
        canvas.polygon(quad(camera, (X, X), (0, tall), Z), behind, FENCE)
        color = pick(random, ((25, 26, 28), (60, 62, 60), (160, 162, 160), (40, 70, 50)))
        for z in posts:
            canvas.line([camera.point(X, 0, z), camera.point(X, tall, z)], color, camera.size(0.04, z), None)
        for y in (0.12, 0.93):
            canvas.line(
                [camera.point(X, y * tall, Z[0]), camera.point(X, y * tall, Z[1])], color, camera.size(0.06, Z[0]), None
            )
        return
    color = pick(random, ((110, 80, 55), (130, 105, 80), (90, 95, 80), (140, 110, 95), (170, 165, 155), (60, 90, 140)))
    canvas.polygon(quad(camera, (X, X), (0, tall), Z), color, FENCE)
    for z in posts:
        canvas.line([camera.point(X, 0, z), camera.point(X, tall, z)], shade(color, 0.7), camera.size(0.06, z), None)
    canvas.line(
        [camera.point(X, tall, Z[0]), camera.point(X, tall, Z[1])], shade(color, 0.75), camera.size(0.08, Z[0]), None
    )
