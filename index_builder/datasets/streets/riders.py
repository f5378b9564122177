"""Cyclists, motorcycles and parked bicycles of painted streets."""

from collections.abc import Callable

from index_builder.datasets.streets.canvas import Camera, Canvas, Color, Point, Random, pick, shade, vary
from index_builder.datasets.streets.classes import BICYCLIST
from index_builder.datasets.streets.people import CLOTHES, head, torso
from model_store.labelled import IGNORE

BRIGHT: tuple[Color, ...] = ((205, 225, 60), (240, 130, 40), (60, 190, 215), (225, 60, 60), (215, 215, 210))
FRAMES: tuple[Color, ...] = ((25, 25, 28), (120, 30, 30), (40, 60, 120), (150, 150, 155), (35, 90, 60), (190, 188, 180))
TYRE: Color = (22, 22, 24)

Along = Callable[[float, float], Point]  # metres along a machine and up from the road -> pixel


def cyclist(canvas: Canvas, camera: Camera, random: Random, X: float, Z: float) -> None:
    """Draw a rider on a bicycle: from behind or the front, obliquely, or from the side."""
    if random.random() < 0.5:
        _rider_end_on(canvas, camera, random, X, Z)
    else:
        turn = float(random.choice([1.0, 0.7, 0.4]) * random.choice([-1, 1]))  # foreshortening
        _rider_side_on(canvas, camera, random, X, Z, turn)


def motorcycle(canvas: Canvas, camera: Camera, random: Random, X: float, Z: float) -> None:
    """Draw a motorcycle or a scooter, mostly without a rider. CamVid labels it as bicyclist."""
    turn = float(random.choice([1.0, 0.75, 0.45]) * random.choice([-1, 1]))
    paint = pick(random, (*BRIGHT, *FRAMES), 16)

    def at(along: float, up: float) -> Point:
        return camera.point(X + along * turn, up, Z)

    for along in (-0.65, 0.65):
        _wheel(canvas, camera, at(along, 0.3), 0.3, Z, turn, 0.12)
    dark = vary(random, (40, 40, 44), 8)
    body = [at(-0.75, 0.55), at(-0.5, 0.85), at(0.05, 0.8), at(0.45, 0.95), at(0.6, 0.6), at(0.3, 0.3), at(-0.35, 0.3)]
    canvas.polygon(body, dark, BICYCLIST)
    canvas.polygon([at(0.0, 0.75), at(0.42, 0.98), at(0.55, 0.7), at(0.1, 0.55)], paint, BICYCLIST)
    canvas.polygon([at(-0.85, 0.7), at(-0.45, 0.8), at(-0.4, 0.62), at(-0.7, 0.5)], shade(paint, 0.8), BICYCLIST)
    canvas.line([at(0.65, 0.3), at(0.42, 1.1), at(0.28, 1.12)], (120, 120, 124), camera.size(0.06, Z), BICYCLIST)
    canvas.ellipse(at(0.02, 0.42), camera.size(0.15, Z), camera.size(0.14, Z), (105, 105, 110), None)
    if random.random() < 0.35:
        _trunk_side_on(canvas, camera, random, at, (-0.2, 0.85), (0.02, 1.4), Z)
        head(canvas, camera, random, at(0.08, 1.58), Z, BICYCLIST, helmet=True)


def parked_bicycles(canvas: Canvas, camera: Camera, random: Random, X: float, Z: float) -> None:
    """Draw bicycles without riders. They have no class."""
    for i in range(int(random.integers(1, 6))):
        turn = float(random.uniform(0.25, 0.9))
        depth = Z + i * 0.45

        def at(along: float, up: float, turn: float = turn, depth: float = depth) -> Point:
            return camera.point(X + along * turn, up, depth)

        _bicycle(canvas, camera, at, depth, turn, pick(random, FRAMES, 12), IGNORE)


def _bicycle(canvas: Canvas, camera: Camera, at: Along, Z: float, turn: float, frame: Color, label: int) -> None:
    thick = camera.size(0.045, Z)
    for along in (-0.52, 0.52):
        _wheel(canvas, camera, at(along, 0.34), 0.34, Z, turn, 0.045, label)
    tubes = (
        ((-0.52, 0.34), (-0.15, 0.85)), ((-0.15, 0.85), (0.42, 0.82)), ((0.0, 0.3), (0.42, 0.82)),
        ((0.38, 1.02), (0.52, 0.34)), ((-0.52, 0.34), (0.0, 0.3)), ((0.0, 0.3), (-0.17, 0.95)),
    )  # fmt: skip
    for a, b in tubes:
        canvas.line([at(*a), at(*b)], frame, thick, label)
    canvas.line([at(-0.3, 0.97), at(-0.05, 0.95)], TYRE, thick * 1.6, label)
    canvas.line([at(0.38, 1.02), at(0.5, 1.03)], (110, 110, 112), thick, label)


def _wheel(
    canvas: Canvas,
    camera: Camera,
    centre: Point,
    radius: float,
    Z: float,
    turn: float,
    tyre: float,
    label: int = BICYCLIST,
) -> None:
    thick = max(camera.size(tyre, Z), 1.5)
    across = max(camera.size(radius, Z) * abs(turn), thick)
    canvas.ring(centre, across, camera.size(radius, Z), TYRE, thick, label)


def _rider_side_on(canvas: Canvas, camera: Camera, random: Random, X: float, Z: float, turn: float) -> None:
    def at(along: float, up: float) -> Point:
        return camera.point(X + along * turn, up, Z)

    limb = camera.size(random.uniform(0.13, 0.17), Z)
    trousers, skin = pick(random, CLOTHES[:6], 10), pick(random, ((200, 155, 130), (120, 80, 60)), 10)
    legs = [((0.2, 0.72), (0.02, 0.45)), ((0.22, 0.6), (0.02, 0.16))]
    if random.random() < 0.5:
        legs.reverse()
    far, near = legs
    canvas.line([at(-0.15, 0.98), at(*far[0]), at(*far[1])], shade(trousers, 0.7), limb, BICYCLIST)
    _bicycle(canvas, camera, at, Z, turn, pick(random, FRAMES, 12), BICYCLIST)
    low = skin if random.random() < 0.15 else trousers
    canvas.line([at(-0.15, 0.98), at(*near[0])], trousers, limb * 1.1, BICYCLIST)
    canvas.line([at(*near[0]), at(*near[1])], low, limb * 0.85, BICYCLIST)
    canvas.line([at(*near[1]), at(near[1][0] + 0.14, near[1][1])], (30, 28, 28), limb * 0.6, BICYCLIST)
    upright = random.uniform(0.0, 0.12)
    shoulder = (0.14 - upright, 1.42 + upright * 0.4)
    coat = _trunk_side_on(canvas, camera, random, at, (-0.15, 0.98), shoulder, Z)
    arm = [at(shoulder[0], shoulder[1] - 0.04), at(0.22, 1.12), at(0.44, 1.04)]
    canvas.line(arm, shade(coat, 0.8), limb * 0.7, BICYCLIST)
    crown = at(shoulder[0] + 0.06, shoulder[1] + 0.22)
    head(canvas, camera, random, crown, Z, BICYCLIST, helmet=random.random() < 0.45)


def _trunk_side_on(
    canvas: Canvas, camera: Camera, random: Random, at: Along, hip: Point, shoulder: Point, Z: float
) -> Color:
    """Draw a trunk from hip to shoulder, mostly lit from above, and return its colour."""
    coat = pick(random, BRIGHT if random.random() < 0.35 else CLOTHES, 14)
    wide = camera.size(random.uniform(0.26, 0.34), Z)
    canvas.line([at(*hip), at(*shoulder)], coat, wide, BICYCLIST)
    canvas.ellipse(at(*shoulder), wide / 2, wide / 2, coat, BICYCLIST)
    canvas.line([at(hip[0] + 0.07, hip[1]), at(shoulder[0] + 0.07, shoulder[1])], shade(coat, 0.7), wide * 0.35, None)
    if random.random() < 0.25:
        back = [at(hip[0] - 0.1, hip[1] + 0.15), at(shoulder[0] - 0.14, shoulder[1] - 0.02)]
        canvas.line(back, pick(random, CLOTHES, 16), wide * 0.6, BICYCLIST)
    return coat


def _rider_end_on(canvas: Canvas, camera: Camera, random: Random, X: float, Z: float) -> None:
    tall = random.uniform(0.95, 1.06)
    lean = random.normal(0, 0.03)

    def at(x: float, y: float) -> Point:
        return camera.point(X + x + lean * y, y * tall, Z)

    limb = camera.size(random.uniform(0.13, 0.17), Z)
    trousers = pick(random, CLOTHES[:6], 10)
    ahead = at(random.normal(0, 0.02), 0.34)
    canvas.ellipse(ahead, max(camera.size(0.035, Z), 1.5), camera.size(0.36, Z), TYRE, BICYCLIST)
    if random.random() < 0.5:  # mudguard, rear light or reflector
        lamp = pick(random, ((215, 30, 25), (235, 235, 225), (150, 30, 30)))
        canvas.ellipse(at(0, 0.72), max(camera.size(0.04, Z), 1), max(camera.size(0.04, Z), 1), lamp, BICYCLIST)
    high = float(random.uniform(0.08, 0.3))  # the higher foot
    for side, foot in zip(
        (-1, 1), ((0.15, 0.15 + high) if random.random() < 0.5 else (0.15 + high, 0.15)), strict=True
    ):
        knee = at(side * random.uniform(0.12, 0.2), 0.55 + foot * 0.35)
        canvas.line(
            [at(side * 0.08, 0.95), knee, at(side * 0.11, foot)],
            shade(trousers, 1 if side < 0 else 0.8),
            limb,
            BICYCLIST,
        )
        canvas.line([at(side * 0.11, foot), at(side * 0.13, foot - 0.03)], (28, 26, 26), limb * 0.9, BICYCLIST)
    canvas.line([at(-0.28, 1.02), at(0.28, 1.02)], (60, 60, 64), max(camera.size(0.035, Z), 1), BICYCLIST)
    coat = pick(random, BRIGHT if random.random() < 0.4 else CLOTHES, 14)
    wide = random.uniform(0.17, 0.24)
    for side in (-1, 1):
        bent = [at(side * wide * 0.9, 1.42), at(side * (wide + 0.1), 1.18), at(side * 0.27, 1.03)]
        canvas.line(bent, shade(coat, 0.95 if side < 0 else 0.72), limb * 0.75, BICYCLIST)
    canvas.ellipse(at(0, 0.94), camera.size(0.18, Z), camera.size(0.13, Z), shade(trousers, 0.9), BICYCLIST)
    torso(canvas, at, coat, wide, (0.95, 1.48), random, BICYCLIST)
    head(canvas, camera, random, at(0, 1.63), Z, BICYCLIST, helmet=random.random() < 0.45)
