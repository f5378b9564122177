"""The format `yolo`: labels for segmentation, https://docs.ultralytics.com/datasets/segment/."""

from model_store.card import ClassInfo
from model_store.exporting.files import Files
from model_store.exporting.names import FileName
from model_store.exporting.outlines import bridged
from model_store.exporting.results import ExportImage
from model_store.exporting.writer import ExportOptions, Writer


class Yolo(Writer):
    """labels/STEM.txt for each image, and data.yaml.

    A line is a connected part of a segment: the position of its class in `names`, and the points of its outline as
    shares of width and height. The format has no holes: each hole is joined with the outline by two equal lines, so
    that the even-odd rule at the centres of pixels gives exactly the mask. Parts of one segment are instances of their
    own. Confidences and ids have no place in the format.
    """

    name = "yolo"
    media_type, suffix = None, ".txt"
    about = (
        "labels/ has the outlines of segments, data.yaml the classes. Copy the images into images/.\n"
        "Holes are joined with outlines by double lines; parts of a segment that do not touch are lines of their own."
    )

    def __init__(self, files: Files, classes: tuple[ClassInfo, ...], options: ExportOptions) -> None:
        super().__init__(files, classes, options)
        self._positions = {info.class_id: position for position, info in enumerate(classes)}
        names = "".join(f"  {position}: {yaml_text(info.name)}\n" for position, info in enumerate(classes))
        origin = "".join(f"{key}: {yaml_text(value)}\n" for key, value in options.origin.items())
        head = f"train: images\nval: images\n{origin}names:{'' if classes else ' {}'}\n"
        files.put("data.yaml", f"{head}{names}".encode())

    def add(self, image: ExportImage, name: FileName) -> None:
        H, W = image.size
        lines = []
        for info, shape in self.known_shapes(image):
            for ring in bridged(shape.mask, *shape.box[:2]):
                shares = (ring / (W, H)).ravel().tolist()
                points = " ".join(f"{share:.8f}" for share in shares)
                lines.append(f"{self._positions[info.class_id]} {points}\n")
        self.files.put(f"labels/{name.stem}.txt", "".join(lines).encode())


def yaml_text(text: str) -> str:
    """A text in double quotes, as a scalar of YAML 1.1 and 1.2."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(part if part.isprintable() else f"\\U{ord(part):08x}" for part in escaped) + '"'
