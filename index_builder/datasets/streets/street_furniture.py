"""Lamp posts, bollards, traffic lights, road signs and fences of painted streets."""

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from index_builder.datasets.streets.canvas import SCALE, Camera, Canvas, Color, Point, Random, pick, quad, shade, vary
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
    """Draw one or two signal heads on a post: with lamps, or from behind."""
    tall = random.uniform(2.6, 3.8)
    canvas.line(
        [camera.point(X, 0, Z), camera.point(X, tall, Z)],
        pick(random, ((70, 72, 72), (40, 40, 42), (130, 132, 130), (185, 186, 182))),
        max(camera.size(0.11, Z), 1.6 * SCALE),
        POLE,
    )
    heads = (0.0,) if random.random() < 0.6 else (-0.3, 0.3)
    board = random.uniform(0.2, 0.34)  # half of the width: some heads have a backing board
    behind = random.random() < 0.25
    lit = int(random.integers(3))
    for side in heads:
        case = vary(random, (24, 24, 26) if random.random() < 0.8 else (120, 124, 124), 8)
        canvas.polygon(
            quad(camera, (X + side - board, X + side + board), (tall - 1.05, tall + 0.1), (Z, Z)), case, SIGN
        )
        if behind:
            canvas.polygon(
                quad(camera, (X + side - 0.13, X + side + 0.13), (tall - 0.95, tall), (Z, Z)), shade(case, 1.5), None
            )
            continue
        for i, lamp in enumerate(((235, 50, 35), (240, 165, 40), (60, 235, 150))):
            color = lamp if i == lit else shade(lamp, 0.16)
            middle = camera.point(X + side, tall - 0.15 - 0.32 * i, Z)
            canvas.ellipse(middle, camera.size(0.11, Z), camera.size(0.11, Z), (color[0], color[1], color[2]), None)


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
    if random.random() < 0.2:  # the grey back of a sign
        back = pick(random, ((120, 122, 124), (90, 92, 94), (60, 62, 64)))
        canvas.ellipse(centre, camera.size(radius, Z), camera.size(radius, Z), back, SIGN)
        return
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
        color = pick(
            random,
            ((35, 80, 160), (20, 100, 60), (235, 235, 230), (235, 200, 60), (120, 80, 50), (30, 30, 34), (160, 40, 40)),
        )
        canvas.polygon(quad(camera, (X - half, X + half), (foot, foot + 2 * up), (Z, Z)), color, SIGN)
        if random.random() < 0.8:
            lettering(canvas, random, quad(camera, (X - half, X + half), (foot, foot + 2 * up), (Z, Z)), color)


def lettering(canvas: Canvas, random: Random, corners: Sequence[Point], color: Color) -> None:
    """Draw lines of words on a board with the corners of `quad`: rows of short strokes, and sometimes an emblem."""
    ink: Color = (240, 240, 240) if sum(color) < 420 else (30, 30, 40)
    if random.random() < 0.3:
        ink = pick(random, ((200, 40, 40), (40, 70, 160), (240, 210, 70), (30, 90, 50)))

    def place(u: float, v: float) -> Point:
        left, right, above_right, above_left = corners
        low = [a + (b - a) * u for a, b in zip(left, right, strict=True)]
        high = [a + (b - a) * u for a, b in zip(above_left, above_right, strict=True)]
        return (low[0] + (high[0] - low[0]) * v, low[1] + (high[1] - low[1]) * v)

    tall = abs(corners[0][1] - corners[3][1])
    rows = int(random.integers(1, 5))
    start = 0.1
    if random.random() < 0.35:  # an emblem at one side
        canvas.polygon(
            [place(0.08, 0.2), place(0.32, 0.2), place(0.32, 0.8), place(0.08, 0.8)], vary(random, ink, 40), None
        )
        start = 0.4
    for row in range(rows):
        v, u = (row + 0.5) / rows, start
        while u < random.uniform(0.6, 0.92):
            word = random.uniform(0.04, 0.2)
            canvas.line([place(u, v), place(min(u + word, 0.94), v)], ink, max(tall * 0.4 / rows, 1), None)
            u += word + 0.05


def fence(canvas: Canvas, camera: Camera, random: Random, X: float, Z: tuple[float, float]) -> None:
    """Draw railings, rails, a mesh or panels along the road, from Z[0] to Z[1]."""
    kind = random.choice(["railings", "rails", "panels"], p=[0.45, 0.25, 0.3])
    if kind == "panels":
        _panels(canvas, camera, random, X, Z)
        return
    tall = random.uniform(0.8, 1.3) if random.random() < 0.7 else random.uniform(1.3, 2.4)
    outline = quad(camera, (X, X), (0, tall), Z)
    color = pick(random, ((25, 26, 28), (60, 62, 60), (160, 162, 160), (40, 70, 50), (205, 205, 200), (100, 98, 92)))
    if random.random() < 0.4:  # hedge, wall or dirt behind
        canvas.polygon(outline, pick(random, ((95, 100, 90), (70, 75, 60), (90, 80, 72), (50, 56, 44))), FENCE)
    else:  # the street is visible between the bars, and labelled as fence
        canvas.mark(outline, FENCE)
    spacing = 5.0 if kind == "railings" else 0.5
    for z in np.linspace(Z[0], Z[1], 2 + int((Z[1] - Z[0]) * spacing)):
        wide = camera.size(0.035 if kind == "railings" else 0.08, z)
        canvas.line([camera.point(X, 0, z), camera.point(X, tall, z)], color, wide, None)
    heights = (0.12, 0.95) if kind == "railings" else np.linspace(0.3, 0.97, int(random.integers(2, 5)))
    for y in heights:
        ends = [camera.point(X, y * tall, Z[0]), camera.point(X, y * tall, Z[1])]
        canvas.line(ends, shade(color, 1.1), camera.size(0.06, (Z[0] + Z[1]) / 2), None)


def _panels(canvas: Canvas, camera: Camera, random: Random, X: float, Z: tuple[float, float]) -> None:
    tall = random.uniform(0.9, 2.2)
    color = pick(random, ((110, 80, 55), (130, 105, 80), (90, 95, 80), (140, 110, 95), (170, 165, 155), (70, 62, 54)))
    canvas.polygon(quad(camera, (X, X), (0, tall), Z), color, FENCE)
    step = random.uniform(0.15, 0.3) if random.random() < 0.5 else 1.8  # boards or panels
    edges = np.arange(Z[0], Z[1], step)
    for near, far in pairwise(edges):
        board = quad(camera, (X, X), (0.03, tall - 0.03), (near, far))
        canvas.polygon(board, vary(random, color, 9), None)
        canvas.line(
            [camera.point(X, 0, near), camera.point(X, tall, near)], shade(color, 0.7), camera.size(0.03, near), None
        )
    top = [camera.point(X, tall, Z[0]), camera.point(X, tall, Z[1])]
    canvas.line(top, shade(color, 0.75), camera.size(0.08, Z[0]), None)
