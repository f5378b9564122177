"""The size at which a network sees an image. It imports nothing heavy, so that processes that decode start quickly."""

MIN_SIDE = 32  # pixels; a shorter side of an elongated image is stretched to this


def working_shape(height: int, width: int, working_size: int) -> tuple[int, int]:
    """Height and width at which the network sees an image: the longest side is working_size, no side under 32."""
    scale = working_size / max(height, width)
    return max(MIN_SIDE, round(height * scale)), max(MIN_SIDE, round(width * scale))
