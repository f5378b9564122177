"""Cars, vans and buses of painted streets."""

from index_builder.datasets.streets.canvas import Camera, Canvas, Color, Random, pick, quad, shade, vary
from index_builder.datasets.streets.classes import CAR

CAR_COLORS: tuple[Color, ...] = (
    (28, 30, 34), (60, 62, 66), (150, 152, 156), (200, 202, 205), (230, 230, 228), (120, 20, 22), (160, 30, 30),
    (25, 45, 105), (60, 90, 140), (130, 150, 165), (30, 70, 50), (90, 80, 60), (150, 110, 40), (100, 130, 135),
)  # fmt: skip


def vehicle(canvas: Canvas, camera: Camera, random: Random, X: float, Z: float, crosswise: bool = False) -> None:
    """Draw a car, van or bus whose nearest face is at distance Z with its centre at X."""
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
    """Draw the side that faces the camera, with windows and wheels."""
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
    """Draw lights, number plate, bumper and wheels of the face that faces the camera."""
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
