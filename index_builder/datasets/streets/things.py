"""What stands and moves in painted streets: cars, people, poles, signs, fences."""

import math

import numpy as np

from index_builder.datasets.samples import IGNORE
from index_builder.datasets.streets.canvas import SCALE, Camera, Canvas, Color, Random, pick, shade, vary

POLE, SIGN, FENCE, CAR, PEDESTRIAN, BICYCLIST = 2, 6, 7, 8, 9, 10
CAR_COLORS: tuple[Color, ...] = (
    (28, 30, 34), (60, 62, 66), (150, 152, 156), (200, 202, 205), (230, 230, 228), (120, 20, 22), (160, 30, 30),
    (25, 45, 105), (60, 90, 140), (130, 150, 165), (30, 70, 50), (90, 80, 60), (150, 110, 40), (100, 130, 135),
)  # fmt: skip
CLOTHES: tuple[Color, ...] = (
    (20, 20, 24), (35, 35, 42), (50, 46, 44), (30, 40, 70), (70, 70, 78), (110, 90, 70), (130, 30, 35), (170, 165, 160),
    (60, 75, 60), (40, 60, 100), (150, 60, 45), (24, 26, 30), (90, 60, 90),
)  # fmt: skip
SKIN: tuple[Color, ...] = ((200, 155, 130), (170, 120, 95), (120, 80, 60), (90, 60, 45))


def quad(
    camera: Camera, X: tuple[float, float], Y: tuple[float, float], Z: tuple[float, float]
) -> list[tuple[float, float]]:
    """Corners of an upright rectangle whose foot runs from (X[0], Z[0]) to (X[1], Z[1])."""
    return [
        camera.point(X[0], Y[0], Z[0]), camera.point(X[1], Y[0], Z[1]),
        camera.point(X[1], Y[1], Z[1]), camera.point(X[0], Y[1], Z[0]),
    ]  # fmt: skip


def vehicle(canvas: Canvas, camera: Camera, random: Random, X: float, Z: float, crosswise: bool = False) -> None:
    """A car, van or bus whose nearest face is at distance Z, its middle at X."""
    kind = random.choice(["car", "van", "bus"], p=[0.78, 0.16, 0.06])
    width = {"car": random.uniform(1.55, 1.8), "van": random.uniform(1.8, 2.1), "bus": 2.5}[kind]
    length = {"car": random.uniform(3.5, 4.6), "van": random.uniform(4.6, 6), "bus": random.uniform(8, 11)}[kind]
    height = {"car": random.uniform(1.35, 1.6), "van": random.uniform(1.9, 2.6), "bus": random.uniform(2.9, 4.2)}[kind]
    if crosswise:
        width, length = length, width
    paint = pick(random, CAR_COLORS) if kind != "bus" else pick(random, ((170, 30, 30), (40, 80, 150), (210, 205, 190)))
    left, right = X - width / 2, X + width / 2
    ground_shadow = [
        camera.point(left - 0.15, 0, Z - 0.1), camera.point(right + 0.15, 0, Z - 0.1),
        camera.point(right + 0.15, 0, Z + length), camera.point(left - 0.15, 0, Z + length),
    ]  # fmt: skip
    canvas.polygon(ground_shadow, (22, 22, 24), None)
    waist = height * (0.58 if kind == "car" else 0.5)
    inset, slope = (0.14 * width, 0.12 * length) if kind == "car" else (0.04 * width, 0.01 * length)
    if crosswise and kind == "car":
        inset, slope = 0.2 * width, 0.1 * length
    glass = pick(random, ((30, 34, 40), (60, 70, 80), (110, 125, 140)))
    _side(canvas, camera, left, right, (Z, Z + length), (waist, height), (paint, glass), (inset, slope))
    face = shade(paint, random.uniform(0.75, 1.05))
    canvas.polygon(quad(camera, (left, right), (0.28, waist), (Z, Z)), face, CAR)
    cabin = [
        camera.point(left, waist, Z), camera.point(right, waist, Z),
        camera.point(right - inset, height, Z + slope), camera.point(left + inset, height, Z + slope),
    ]  # fmt: skip
    canvas.polygon(cabin, shade(face, 0.95), CAR)
    middle_x, middle_y = (sum(p[i] for p in cabin) / 4 for i in (0, 1))
    window = [(middle_x + (x - middle_x) * 0.84, middle_y + (y - middle_y) * 0.74) for x, y in cabin]
    canvas.polygon(window, glass, None)
    _face(canvas, camera, random, left, right, Z, waist, crosswise)


def _side(
    canvas: Canvas, camera: Camera, left: float, right: float, Z: tuple[float, float], Y: tuple[float, float],
    colors: tuple[Color, Color], taper: tuple[float, float],
) -> None:  # fmt: skip
    """The flank that the camera sees, its windows and wheels."""
    if left > 0.2:
        X, inwards = left, 1.0
    elif right < -0.2:
        X, inwards = right, -1.0
    else:
        return
    flank = shade(colors[0], 0.8)
    length = Z[1] - Z[0]
    canvas.polygon(quad(camera, (X, X), (0.28, Y[0]), Z), flank, CAR)
    top = X + inwards * taper[0]
    cabin = [
        camera.point(X, Y[0], Z[0]), camera.point(X, Y[0], Z[1] - 0.2 * length),
        camera.point(top, Y[1], Z[1] - 0.3 * length), camera.point(top, Y[1], Z[0] + taper[1]),
    ]  # fmt: skip
    canvas.polygon(cabin, flank, CAR)
    middle_x, middle_y = (sum(p[i] for p in cabin) / 4 for i in (0, 1))
    canvas.polygon(
        [(middle_x + (x - middle_x) * 0.85, middle_y + (y - middle_y) * 0.7) for x, y in cabin], colors[1], None
    )
    for at in (0.2, 0.78):
        centre = camera.point(X, 0.31, Z[0] + at * length)
        across = (
            abs(camera.point(X, 0, Z[0] + at * length - 0.31)[0] - camera.point(X, 0, Z[0] + at * length + 0.31)[0]) / 2
        )
        canvas.ellipse(centre, max(across, 1), camera.size(0.31, Z[0] + at * length), (18, 18, 20), CAR)
        canvas.ellipse(centre, max(across * 0.55, 0.5), camera.size(0.17, Z[0] + at * length), (120, 120, 124), None)


def _face(
    canvas: Canvas, camera: Camera, random: Random, left: float, right: float, Z: float, waist: float, crosswise: bool
) -> None:
    """Lights, plate, bumper and wheels of the face turned to the camera."""
    width = right - left
    if crosswise:
        for at in (0.18, 0.8):
            centre = camera.point(left + at * width, 0.31, Z)
            canvas.ellipse(centre, camera.size(0.31, Z), camera.size(0.31, Z), (18, 18, 20), CAR)
            canvas.ellipse(centre, camera.size(0.18, Z), camera.size(0.18, Z), (120, 120, 124), None)
        return
    for x in (left + 0.12 * width, right - 0.12 * width):
        canvas.polygon(quad(camera, (x - 0.11, x + 0.11), (0, 0.4), (Z, Z)), (16, 16, 18), CAR)
    canvas.polygon(quad(camera, (left, right), (0.28, 0.45), (Z, Z)), (45, 45, 48), CAR)
    oncoming = random.random() < 0.4
    light: Color = (235, 235, 225) if oncoming else (190, 25, 20)
    for x in (left + 0.1, right - 0.1 - 0.14 * width):
        canvas.polygon(
            quad(camera, (x, x + 0.14 * width), (waist * 0.68, waist * 0.9), (Z, Z)), vary(random, light), None
        )
    plate: Color = (225, 225, 220) if oncoming else (215, 190, 60)
    X = (left + right) / 2
    canvas.polygon(quad(camera, (X - 0.25, X + 0.25), (0.48, 0.6), (Z, Z)), plate, None)


def person(canvas: Canvas, camera: Camera, random: Random, X: float, Z: float, label: int = PEDESTRIAN) -> None:
    """Someone standing or walking, drawn limb by limb."""
    tall = random.uniform(1.5, 1.9) * (0.65 if random.random() < 0.06 else 1.0)
    coat, trousers = pick(random, CLOTHES), pick(random, CLOTHES[:6])
    wide = random.uniform(0.17, 0.27)
    stride = random.uniform(0, 0.28)
    long_coat = random.random() < 0.3

    def at(x: float, y: float) -> tuple[float, float]:
        return camera.point(X + x, y * tall, Z)

    limb = camera.size(0.14, Z)
    for side in (-1, 1):
        canvas.line(
            [at(side * 0.07, 0.5), at(side * (0.06 + stride * 0.5), 0.26), at(side * (0.06 + stride), 0.0)],
            trousers,
            limb,
            label,
        )
    hem = 0.3 if long_coat else 0.46
    body = [
        at(-wide, 0.81),
        at(wide, 0.81),
        at(wide * 1.05, 0.6),
        at(wide * 0.95, hem),
        at(-wide * 0.95, hem),
        at(-wide * 1.05, 0.6),
    ]
    canvas.polygon(body, coat, label)
    for side in (-1, 1):
        hand = at(side * (wide + random.uniform(0.0, 0.16)), random.uniform(0.4, 0.6))
        canvas.line(
            [at(side * wide * 0.9, 0.79), at(side * (wide + 0.04), 0.62), hand], shade(coat, 0.85), limb * 0.7, label
        )
    head = at(0, 0.92)
    canvas.ellipse(head, camera.size(0.095, Z), camera.size(0.125, Z), pick(random, SKIN), label)
    hair = (head[0], head[1] - camera.size(0.04, Z))
    canvas.ellipse(
        hair,
        camera.size(0.1, Z),
        camera.size(0.09, Z),
        pick(random, ((30, 25, 20), (70, 50, 35), (120, 100, 70))),
        label,
    )
    if random.random() < 0.3:
        bag = pick(random, CLOTHES)
        side = random.choice([-1, 1])
        canvas.polygon(
            [
                at(side * wide, 0.5),
                at(side * (wide + 0.18), 0.5),
                at(side * (wide + 0.18), 0.33),
                at(side * wide, 0.33),
            ],
            bag,
            label,
        )


def cyclist(canvas: Canvas, camera: Camera, random: Random, X: float, Z: float) -> None:
    """A rider on a bicycle, from the side, from behind or between."""
    turn = random.choice([1.0, 0.45, 0.12], p=[0.3, 0.25, 0.45]) * random.choice([-1, 1])  # share of the length seen
    frame = pick(random, ((25, 25, 28), (120, 30, 30), (40, 60, 120), (150, 150, 155)))
    radius, base = 0.34, 0.52
    thick = camera.size(0.05, Z)

    def at(along: float, up: float) -> tuple[float, float]:
        return camera.point(X + along * turn, up, Z)

    for along in (-base, base):
        across = max(camera.size(radius, Z) * abs(turn), thick)
        canvas.ring(at(along, radius), across, camera.size(radius, Z), (22, 22, 24), max(thick, 1.5), BICYCLIST)
    tubes = (
        ((-base, 0.34), (-0.15, 0.85)), ((-0.15, 0.85), (0.42, 0.82)), ((0, 0.3), (0.42, 0.82)),
        ((0.42, 0.95), (base, 0.34)), ((-base, 0.34), (0, 0.3)), ((0, 0.3), (-0.15, 0.9)),
    )  # fmt: skip
    for a, b in tubes:
        canvas.line([at(*a), at(*b)], frame, thick, BICYCLIST)
    coat, trousers = pick(random, CLOTHES), pick(random, CLOTHES[:6])
    limb = camera.size(0.15, Z)
    for knee, foot in (((0.18, 0.68), (0.05, 0.2)), ((0.2, 0.55), (-0.02, 0.42))):
        canvas.line([at(-0.15, 0.98), at(*knee), at(*foot)], trousers, limb, BICYCLIST)
    canvas.line([at(-0.15, 0.98), at(0.1, 1.45)], coat, camera.size(0.36, Z), BICYCLIST)
    canvas.line([at(0.1, 1.42), at(0.3, 1.15), at(0.45, 1.0)], shade(coat, 0.85), limb * 0.7, BICYCLIST)
    canvas.ellipse(
        at(0.16, 1.66),
        camera.size(0.1, Z),
        camera.size(0.13, Z),
        pick(random, (*SKIN, (60, 60, 64), (200, 200, 60))),
        BICYCLIST,
    )


def parked_bicycles(canvas: Canvas, camera: Camera, random: Random, X: float, Z: float) -> None:
    """Bicycles without riders: no class of the list."""
    for i in range(int(random.integers(1, 5))):
        for along in (-0.5, 0.5):
            centre = camera.point(X + along * 0.6, 0.34, Z + i * 0.5)
            canvas.ring(centre, camera.size(0.2, Z), camera.size(0.34, Z), (25, 25, 28), camera.size(0.05, Z), IGNORE)
        canvas.line(
            [camera.point(X - 0.3, 0.4, Z), camera.point(X, 0.9, Z), camera.point(X + 0.3, 0.4, Z)],
            (50, 50, 60),
            camera.size(0.06, Z),
            IGNORE,
        )


def lamp_post(canvas: Canvas, camera: Camera, random: Random, X: float, Z: float) -> None:
    """A tall post, most with an arm and a lamp."""
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
    """A knee-high post."""
    color = pick(random, ((25, 25, 28), (210, 210, 205), (90, 90, 92), (120, 40, 35)))
    canvas.line(
        [camera.point(X, 0, Z), camera.point(X, random.uniform(0.8, 1.1), Z)],
        color,
        max(camera.size(0.14, Z), 2.0),
        POLE,
    )


def traffic_light(canvas: Canvas, camera: Camera, random: Random, X: float, Z: float) -> None:
    """Signal heads on a post."""
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
    """A disc, triangle or board on a post."""
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
    """Railings, panels, or a hoarding, along the road."""
    tall = random.uniform(0.9, 2.2)
    kind = random.integers(3)
    posts = np.linspace(Z[0], Z[1], 2 + int((Z[1] - Z[0]) * (5 if kind == 0 else 0.6)))
    if kind == 0:  # what is behind railings shows through, but the label is the fence's
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
