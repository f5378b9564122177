"""Pedestrians of painted streets, and the limbs, clothes and heads that they share with riders."""

from collections.abc import Callable

from index_builder.datasets.streets.canvas import Camera, Canvas, Color, Point, Random, pick, shade, vary
from index_builder.datasets.streets.classes import PEDESTRIAN

CLOTHES: tuple[Color, ...] = (
    (20, 20, 24), (35, 35, 42), (50, 46, 44), (30, 40, 70), (70, 70, 78), (110, 90, 70), (130, 30, 35), (170, 165, 160),
    (60, 75, 60), (40, 60, 100), (150, 60, 45), (24, 26, 30), (90, 60, 90), (205, 200, 190), (96, 110, 125),
)  # fmt: skip
SKIN: tuple[Color, ...] = ((200, 155, 130), (170, 120, 95), (120, 80, 60), (90, 60, 45))
HAIR: tuple[Color, ...] = ((30, 25, 20), (70, 50, 35), (120, 100, 70), (150, 148, 142), (40, 36, 40))

Place = Callable[[float, float], Point]  # metres to the side and up from the foot of a figure -> pixel


def person(canvas: Canvas, camera: Camera, random: Random, X: float, Z: float, label: int = PEDESTRIAN) -> None:
    """Draw a person, standing or walking, limb by limb, lit from one side."""
    tall = random.uniform(1.5, 1.9) * (0.65 if random.random() < 0.06 else 1.0)
    coat, trousers = pick(random, CLOTHES, 10), pick(random, CLOTHES[:6], 10)
    wide = random.uniform(0.15, 0.25)
    sideways = random.random() < 0.45  # seen from the side: narrow shoulders and a long stride
    if sideways:
        wide *= 0.75
    stride = random.uniform(0.08, 0.3) if sideways else random.uniform(0, 0.12)
    lean = random.normal(0, 0.03)

    def at(x: float, y: float) -> Point:
        return camera.point(X + x + lean * y, y * tall, Z)

    limb = camera.size(random.uniform(0.13, 0.17), Z)
    for side in (-1, 1):
        hip, knee, foot = (
            at(side * 0.06, 0.5),
            at(side * (0.06 + stride * 0.45), 0.27),
            at(side * (0.06 + stride), 0.02),
        )
        leg = shade(trousers, 1.0 if side < 0 else 0.8)
        canvas.line([hip, knee], leg, limb * 1.15, label)
        canvas.line([knee, foot], leg, limb * 0.85, label)
        shoe = at(side * (0.06 + stride) + 0.05 * side, 0.015)
        canvas.line([foot, shoe], pick(random, ((22, 20, 20), (60, 50, 44), (180, 178, 172))), limb * 0.7, label)
    hem = random.uniform(0.22, 0.36) if random.random() < 0.3 else random.uniform(0.42, 0.48)
    torso(canvas, at, coat, wide, (hem, 0.83), random, label)
    for side in (-1, 1):
        hand = at(side * (wide + random.uniform(-0.06, 0.14)), random.uniform(0.42, 0.62))
        elbow = at(side * (wide + 0.04), 0.64)
        sleeve = shade(coat, 0.95 if side < 0 else 0.75)
        canvas.line([at(side * wide * 0.85, 0.8), elbow, hand], sleeve, limb * 0.75, label)
    head(canvas, camera, random, at(0, 0.925), Z, label)
    _carried(canvas, random, at, wide, label)


def torso(
    canvas: Canvas, at: Place, coat: Color, wide: float, heights: tuple[float, float], random: Random, label: int
) -> None:
    """Draw a trunk between two heights, given in the units of `at`: lit on one side, mostly with a seam or a bag."""
    low, top = heights
    middle = low + (top - low) * 0.55
    outline = [
        at(-wide * 0.8, top), at(wide * 0.8, top), at(wide * 1.02, top - 0.05), at(wide, middle),
        at(wide * 0.98, low), at(-wide * 0.98, low), at(-wide, middle), at(-wide * 1.02, top - 0.05),
    ]  # fmt: skip
    canvas.polygon(outline, coat, label)
    lit, edge = (1, 1.18) if random.random() < 0.5 else (-1, 1.18)
    far = [at(-lit * wide * 0.2, top), at(-lit * wide, top - 0.05), at(-lit * wide, low), at(-lit * wide * 0.1, low)]
    canvas.polygon(far, shade(coat, random.uniform(0.6, 0.85)), None)
    near = [at(lit * wide * 0.55, top), at(lit * wide, top - 0.05), at(lit * wide, low), at(lit * wide * 0.7, low)]
    canvas.polygon(near, shade(coat, edge), None)
    if random.random() < 0.25:  # a shirt or a scarf below an open coat
        inner = pick(random, CLOTHES, 20)
        canvas.polygon([at(-wide * 0.25, top), at(wide * 0.25, top), at(0.0, middle)], inner, None)
    if random.random() < 0.25:  # a rucksack
        bag = pick(random, CLOTHES, 20)
        size = wide * random.uniform(0.5, 0.75)
        low_bag = middle - 0.03
        canvas.polygon([at(-size, top - 0.03), at(size, top - 0.03), at(size, low_bag), at(-size, low_bag)], bag, None)


def head(
    canvas: Canvas, camera: Camera, random: Random, centre: Point, Z: float, label: int, helmet: bool = False
) -> None:
    """Draw a head with its neck, from the front, from behind or with a hat or helmet."""
    skin = pick(random, SKIN, 10)
    wide, tall = camera.size(0.085, Z), camera.size(0.12, Z)
    canvas.line([(centre[0], centre[1] + tall * 1.5), centre], shade(skin, 0.8), max(wide * 1.0, 1), label)
    canvas.ellipse(centre, wide, tall, skin, label)
    if helmet:
        color = pick(random, ((210, 210, 205), (40, 42, 46), (170, 40, 40), (40, 70, 140), (190, 200, 70)), 16)
        canvas.ellipse((centre[0], centre[1] - tall * 0.45), wide * 1.2, tall * 0.7, color, label)
        return
    hair = pick(random, HAIR, 10)
    if random.random() < 0.45:  # from behind
        canvas.ellipse((centre[0], centre[1] - tall * 0.1), wide * 1.08, tall * 0.95, hair, label)
    else:
        canvas.ellipse((centre[0], centre[1] - tall * 0.5), wide * 1.08, tall * 0.62, hair, label)


def _carried(canvas: Canvas, random: Random, at: Place, wide: float, label: int) -> None:
    """Draw a bag in a hand, in one of three."""
    if random.random() > 0.33:
        return
    bag = pick(random, (*CLOTHES, (215, 210, 200), (200, 120, 40)), 16)
    side = float(random.choice([-1, 1]))
    near, far = side * wide, side * (wide + random.uniform(0.1, 0.2))
    low = random.uniform(0.24, 0.36)
    canvas.polygon(
        [at(near, low + 0.17), at(far, low + 0.17), at(far, low), at(near, low)], vary(random, bag, 8), label
    )
