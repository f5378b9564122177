"""Effects that make a drawing look like a photograph: texture, shadow, haze, exposure, blur, noise and JPEG."""

import io

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

from index_builder.datasets.streets.canvas import HEIGHT, TILE, WIDTH, Camera, Random, noise_patch, noise_tile
from index_builder.datasets.streets.classes import (
    BICYCLIST,
    BUILDING,
    CAR,
    FENCE,
    PAVEMENT,
    PEDESTRIAN,
    POLE,
    ROAD,
    SIGN,
    SKY,
    TREE,
)
from model_store.labelled import IGNORE

# standard deviation of the brightness of fine and of coarse texture, by class
ROUGHNESS = {
    SKY: (0.004, 0.01), BUILDING: (0.045, 0.035), POLE: (0.08, 0.06), ROAD: (0.0, 0.0),
    PAVEMENT: (0.0, 0.0), TREE: (0.16, 0.14),
    SIGN: (0.03, 0.05), FENCE: (0.06, 0.07), CAR: (0.02, 0.07), PEDESTRIAN: (0.05, 0.07),
    BICYCLIST: (0.05, 0.07), IGNORE: (0.09, 0.1),
}  # fmt: skip
_ROWS, _COLUMNS = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)


def apply_photo_effects(image: np.ndarray, labels: np.ndarray, camera: Camera, random: Random) -> np.ndarray:
    """Apply the effects of light and camera to a drawing.

    Args:
        image: [H, W, 3] float32 colours in 0..255; overwritten.
        labels: [H, W] uint8, the class of each pixel.
        camera: the camera of the drawing.
        random: the random choices.

    Returns:
        [H, W, 3] uint8 RGB.
    """
    light = _texture(labels, camera, random)
    light *= _shadows(labels, camera, random)
    image *= light[:, :, None]
    image = _haze(image, labels, camera, random)
    image = _exposure(image, random)
    if random.random() < 0.5:
        image = gaussian_filter(image, (*(float(random.uniform(0.2, 0.75)),) * 2, 0))
    strength = float(random.uniform(0.5, 5))
    for channel in range(3):
        image[:, :, channel] += strength * noise_patch(random, 0.0, HEIGHT, WIDTH)
    pixels = Image.fromarray(image.clip(0, 255).astype(np.uint8))
    file = io.BytesIO()
    pixels.save(file, "JPEG", quality=int(random.integers(60, 97)))
    return np.array(Image.open(file))


def _texture(labels: np.ndarray, camera: Camera, random: Random) -> np.ndarray:
    """Brightness factors of the surface textures: [H, W] float32."""
    strength = float(random.uniform(0.6, 1.5))
    fine, coarse = np.zeros(256, np.float32), np.zeros(256, np.float32)
    for label, (a, b) in ROUGHNESS.items():
        fine[label], coarse[label] = a * strength, b * strength
    texture = 1 + fine.take(labels) * noise_patch(random, 1.2, HEIGHT, WIDTH)
    texture += coarse.take(labels) * noise_patch(random, 9, HEIGHT, WIDTH)
    flat = (labels == ROAD) | (labels == PAVEMENT)
    y, x = np.nonzero(flat)
    depth = camera.focal * camera.height / np.maximum(y - camera.horizon, 1.0)
    across = (x - camera.x) / camera.focal * depth
    for smoothness, metre, amount in ((1.2, 14.0, 0.045), (9, 10.0, 0.025), (24, 2.0, 0.04)):
        tile = noise_tile(smoothness, int(random.integers(3)))
        fade = np.minimum(1.0, 12.0 / depth) if smoothness < 5 else 1.0
        rows, columns = (depth * metre).astype(np.int64) % TILE, (across * metre).astype(np.int64) % TILE
        texture[y, x] += strength * amount * fade * tile[rows, columns]
    return np.asarray(texture.clip(0.2, 2), dtype=np.float32)


def _shadows(labels: np.ndarray, camera: Camera, random: Random) -> np.ndarray:
    """Brightness factors of sunlight from one side and of shadows on the ground: [H, W] float32."""
    light = np.ones((HEIGHT, WIDTH), np.float32)
    upright = (labels != SKY) & (labels != ROAD) & (labels != PAVEMENT)
    if random.random() < 0.65:
        side = (_COLUMNS - camera.x) * random.choice([-1, 1]) > 0
        light[upright & side] *= float(random.uniform(0.4, 0.85))
    below = camera.horizon + 2 < _ROWS
    ground = below & ~upright
    if random.random() < 0.55:
        dark = float(random.uniform(0.35, 0.75))
        depth = camera.focal * camera.height / np.maximum(_ROWS - camera.horizon, 1.0)
        across = (_COLUMNS - camera.x) / camera.focal * depth
        edge = random.uniform(-3, 7)
        skew = random.normal(0, 0.6)
        ragged = random.uniform(0.1, 0.8) * noise_patch(random, 9, HEIGHT, WIDTH) + np.sign(
            np.sin(depth * random.uniform(0.15, 0.5))
        )
        shadow = (
            (across + skew * depth * 0.1 + ragged < edge)
            if random.random() < 0.5
            else (across + skew * depth * 0.1 + ragged > edge)
        )
        mask = gaussian_filter((shadow & ground).astype(np.float32), 0.8)
        light *= 1 - (1 - dark) * mask
    return light


def _haze(image: np.ndarray, labels: np.ndarray, camera: Camera, random: Random) -> np.ndarray:
    """Blend with the colour of the air, more strongly close to the vanishing point."""
    if random.random() < 0.4:
        return image
    away = np.hypot(_COLUMNS - camera.x, (_ROWS - camera.horizon) * 1.5)
    amount = float(random.uniform(0.05, 0.4)) * np.exp(-away / 70.0) * (labels != SKY)
    air = np.asarray([200, 205, 212], np.float32)
    image += (air - image) * amount.astype(np.float32)[:, :, None]
    return image


def _exposure(image: np.ndarray, random: Random) -> np.ndarray:
    """Apply gain, white balance, gamma and contrast of the camera."""
    gain = float(
        random.choice(
            [random.uniform(0.38, 0.65), random.uniform(0.6, 1.0), random.uniform(0.95, 1.35)], p=[0.25, 0.35, 0.4]
        )
    )
    balance = 1 + random.normal(0, 0.035, 3)
    image *= (gain * balance).astype(np.float32)
    if gain < 0.6 and random.random() < 0.8:  # a dark street under a bright sky
        bright = image.sum(axis=2) > 3 * 235 * gain * 0.8
        image[bright] *= float(random.uniform(1.0, 1.9))
    gamma, contrast = float(random.uniform(0.8, 1.35)), float(random.uniform(0.8, 1.25))
    unit = np.linspace(0, 1, 4 * 255 + 1, dtype=np.float32) ** gamma  # a lookup table is faster than a power per pixel
    unit = 0.45 + (unit - 0.45) * contrast + float(random.uniform(-0.03, 0.05))
    table = (unit.clip(0, 1) * 255).astype(np.float32)
    return np.asarray(table.take((image * 4).astype(np.int32), mode="clip"))
