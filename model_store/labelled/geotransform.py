"""Where the pixels of an image are on a map."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from tifffile import TiffPage

_USER_DEFINED = 32767  # no code of the EPSG
_POINT = 2  # GTRasterTypeGeoKey: coordinates are of the centres of pixels
_WORLD_GEODETIC = 4326


class MapPlace(NamedTuple):
    """Where an image is on a map.

    matrix: [2, 3]; (x, y) on the map is matrix @ (column, row, 1), where (0, 0) is the outer corner of the first pixel;
    epsg: code of the coordinate reference system, None: not known.
    """

    matrix: np.ndarray
    epsg: int | None

    def to_pixels(self, points: np.ndarray) -> np.ndarray:
        """Points [N, 2] (x, y) on the map as pixels (column, row)."""
        return np.asarray((points - self.matrix[:, 2]) @ np.linalg.inv(self.matrix[:, :2]).T)

    def extent(self, size: tuple[int, int]) -> np.ndarray:
        """The lowest and the highest x and y of an image of `size` (H, W): [2, 2]."""
        corners = np.array([(x, y, 1) for x in (0, size[1]) for y in (0, size[0])]) @ self.matrix.T
        return np.stack([corners.min(axis=0), corners.max(axis=0)])


def map_place(image: Path) -> MapPlace | None:
    """The place of an image by the tags of GeoTIFF (https://docs.ogc.org/is/19-008r4/19-008r4.html), or else by a world
    file beside it (https://gdal.org/drivers/raster/wld.html), such as .tfw, .jgw, .pgw or .wld.

    None, if it has neither, or control points only.

    Raises:
        ValueError: if the tags or the world file are damaged. The message names the file.
    """
    place = _of_tags(image) if image.suffix.lower() in (".tif", ".tiff") else None
    if place is None:
        place = _of_world_file(image)
    if place is not None and not (np.isfinite(place.matrix).all() and abs(np.linalg.det(place.matrix[:, :2])) > 0):
        raise ValueError(f"{image}: the place on the map is {place.matrix.tolist()}, which cannot be inverted")
    return place


def world_files(image: Path) -> list[Path]:
    """The names that a world file of an image may have: image.tfw, image.tifw or image.wld for image.tif."""
    endings = world_suffixes(image.suffix)
    return [image.with_suffix(ending) for suffix in endings for ending in (suffix, suffix.upper())]


def world_suffixes(suffix: str) -> tuple[str, str, str]:
    """Suffixes of the world files of images with a suffix: .tfw, .tifw and .wld for .tif."""
    ending = suffix.lower().lstrip(".")
    return f".{ending[:1]}{ending[-1:]}w", f".{ending}w", ".wld"


def epsg_of(name: str) -> int | None:
    """The EPSG code in the name of a coordinate reference system, such as urn:ogc:def:crs:EPSG::32633 or EPSG:3857.

    CRS84, the system of GeoJSON, is 4326 with longitude first.
    """
    text = name.strip().upper()
    if text.endswith("CRS84") or text in ("WGS84", "WGS 84"):
        return _WORLD_GEODETIC
    code = text.replace("/", ":").rsplit(":", 1)[-1]
    if "EPSG" not in text or not code.isdigit():
        return None
    return 3857 if int(code) == 900913 else int(code)


def _of_tags(image: Path) -> MapPlace | None:
    from tifffile import TiffFile, TiffFileError, TiffPage  # takes 0.2 s to import

    try:
        with TiffFile(image) as file:
            page = file.pages.first
            return _of_page(page, image) if isinstance(page, TiffPage) else None
    except (OSError, TiffFileError, IndexError, TypeError, AttributeError) as error:
        raise ValueError(f"{image} cannot be read as a TIFF ({error})") from error


def _of_page(page: "TiffPage", image: Path) -> MapPlace | None:
    keys = (page.geotiff_tags or {}) if page.is_geotiff else {}
    scale, ties, full = (page.tags.valueof(code) for code in (33550, 33922, 34264))
    if full is not None and len(full) == 16:
        matrix = np.array(full, dtype=np.float64).reshape(4, 4)[:2][:, [0, 1, 3]]
    elif scale is not None and ties is not None and len(scale) >= 2 and len(ties) >= 6:
        column, row, _, x, y, _ = ties[:6]
        matrix = np.array([[scale[0], 0, x - column * scale[0]], [0, -scale[1], y + row * scale[1]]], dtype=np.float64)
    else:
        return None
    if page.tags.valueof("Orientation", default=1) != 1:
        raise ValueError(f"{image} has a place on the map and is rotated by a tag; remove one of them")
    if int(keys.get("GTRasterTypeGeoKey", 1)) == _POINT:
        matrix = _from_centres(matrix)
    codes = [int(keys[key]) for key in ("ProjectedCSTypeGeoKey", "GeographicTypeGeoKey") if key in keys]
    known = next((code for code in codes if 0 < code < _USER_DEFINED), None)
    return MapPlace(matrix, None if codes[:1] == [_USER_DEFINED] else known)


def _of_world_file(image: Path) -> MapPlace | None:
    file = next((file for file in world_files(image) if file.is_file()), None)
    if file is None:
        return None
    try:
        a, d, b, e, c, f = (float(line) for line in file.read_text(encoding="utf-8-sig").split())
    except (OSError, ValueError) as error:
        raise ValueError(f"{file} cannot be read as a world file ({error}); it must have six numbers") from error
    if not all(map(math.isfinite, (a, b, c, d, e, f))):
        raise ValueError(f"{file} has numbers that are not finite; it must have six numbers")
    return MapPlace(_from_centres(np.array([[a, b, c], [d, e, f]])), None)


def _from_centres(matrix: np.ndarray) -> np.ndarray:
    """A matrix for which (0, 0) is the centre of the first pixel as one for which it is the outer corner."""
    moved = matrix.copy()
    moved[:, 2] -= matrix[:, :2] @ (0.5, 0.5)
    return moved
