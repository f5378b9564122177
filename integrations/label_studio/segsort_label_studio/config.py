"""Labelling configurations of Label Studio: images, the tags that draw on them, and their labels."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal
from xml.etree.ElementTree import Element, ParseError, fromstring

Kind = Literal["brush", "polygon", "rectangle", "ellipse", "keypoint"]
REGIONS: tuple[Kind, ...] = ("brush", "polygon", "rectangle")  # kinds that predictions use, the most exact first
_TAGS: dict[str, Kind] = {
    "BrushLabels": "brush", "PolygonLabels": "polygon", "RectangleLabels": "rectangle",
    "EllipseLabels": "ellipse", "KeyPointLabels": "keypoint",
}  # fmt: skip


@dataclass(frozen=True)
class Label:
    """A label.

    value: its name; others: names of classes that it stands for, from `predicted_values`, and its `alias`; color:
    #rrggbb, None if the configuration has none of this form.
    """

    value: str
    others: tuple[str, ...] = ()
    color: str | None = None


@dataclass(frozen=True)
class Control:
    """A tag that draws regions with labels on an image."""

    kind: Kind
    name: str
    labels: tuple[Label, ...]

    @property
    def type(self) -> str:
        """The type of its regions, and the key of their labels."""
        return f"{self.kind}labels"


@dataclass(frozen=True)
class Surface:
    """An image of the configuration.

    name: of its tag; key: of the field of tasks that has its address; several: the field is a list of addresses.
    """

    name: str
    key: str
    several: bool = False
    controls: tuple[Control, ...] = field(default=())

    def control(self, *kinds: Kind) -> Control | None:
        """The first control of the first of these kinds that there is."""
        return next((one for kind in kinds for one in self.controls if one.kind == kind), None)


def read_config(text: str) -> list[Surface]:
    """Images of a labelling configuration that can be drawn on, with their controls.

    Raises:
        ValueError: if it is not XML, or no image has BrushLabels, PolygonLabels or RectangleLabels.
    """
    try:
        root = fromstring(text)
    except ParseError as error:
        raise ValueError(f"The labelling configuration is not valid XML ({error}).") from error
    controls: dict[str, list[Control]] = {}
    for tag in root.iter():
        if tag.tag in _TAGS and tag.get("toName"):
            control = Control(_TAGS[tag.tag], tag.get("name", ""), tuple(_labels(tag)))
            for target in tag.get("toName", "").split(","):
                controls.setdefault(target.strip(), []).append(control)
    surfaces = [_surface(tag, tuple(controls.get(tag.get("name", ""), ()))) for tag in root.iter("Image")]
    usable = [one for one in surfaces if one.control(*REGIONS)]
    if not usable:
        raise ValueError("The labelling configuration has no Image with BrushLabels, PolygonLabels or RectangleLabels.")
    return usable


def _surface(tag: Element, controls: tuple[Control, ...]) -> Surface:
    several = tag.get("valueList") is not None
    key = (tag.get("valueList") or tag.get("value") or "").lstrip("$")
    return Surface(tag.get("name", ""), key, several, controls)


def _labels(tag: Element) -> Iterator[Label]:
    for entry in tag.iter("Label"):
        value = entry.get("value")
        if value is None:
            continue
        others = [part.strip() for part in entry.get("predicted_values", "").split(",")]
        color = entry.get("background", "").lower()
        named = color.startswith("#") and len(color) == 7 and all(letter in "0123456789abcdef" for letter in color[1:])
        yield Label(value, tuple(filter(None, [*others, entry.get("alias")])), color if named else None)


def class_labels(control: Control, classes: list[str]) -> dict[str, str]:
    """The label of each class that has one: the same name, else with other case, else one of its `others`.

    Args:
        control: whose labels are used.
        classes: names of classes.
    """
    rules = (
        lambda label, name: label.value == name,
        lambda label, name: label.value.casefold() == name.casefold(),
        lambda label, name: name in label.others,
        lambda label, name: name.casefold() in [other.casefold() for other in label.others],
    )
    found = {}
    for name in classes:
        matches = (label.value for rule in rules for label in control.labels if rule(label, name))
        if (label := next(matches, None)) is not None:
            found[name] = label
    return found


def label_class(control: Control, value: str, classes: list[str]) -> str:
    """The class that a label teaches: of the classes that have this label, the first by the rule of `class_labels`; the
    label's own name if there is none, which makes a new class.

    Args:
        control: whose label it is.
        value: of the label.
        classes: names of the present classes.
    """
    own = [name for name, label in class_labels(control, classes).items() if label == value]
    exact = [name for name in own if name.casefold() == value.casefold()]
    return next(iter(exact or own), value)
