"""Pedestrians, cyclists and parked bicycles of painted streets."""

from index_builder.datasets.streets.canvas import Camera, Canvas, Color, Random, pick, shade
from index_builder.datasets.streets.classes import BICYCLIST, PEDESTRIAN
from model_store.labelled import IGNORE

CLOTHES: tuple[Color, ...] = (
    (20, 20, 24), (35, 35, 42), (50, 46, 44), (30, 40, 70), (70, 70, 78), (110, 90, 70), (130, 30, 35), (170, 165, 160),
    (60, 75, 60), (40, 60, 100), (150, 60, 45), (24, 26, 30), (90, 60, 90),
)  # fmt: skip
SKIN: tuple[Color, ...] = ((200, 155, 130), (170, 120, 95), (120, 80, 60), (90, 60, 45))


def person(canvas: Canvas, camera: Camera, random: Random, X: float, Z: float, label: int = PEDESTRIAN) -> None:
    """Draw a person, standing or walking, limb by limb."""
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
    """Draw a rider on a bicycle, seen from the side, obliquely or from behind."""
    turn = random.choice([1.0, 0.45, 0.12], p=[0.3, 0.25, 0.45]) * random.choice([-1, 1])  # foreshortening
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
    """Draw bicycles without riders. They have no class."""
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
