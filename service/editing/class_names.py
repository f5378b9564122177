"""Classes as requests name them: finding an existing class, or creating one."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from model_store.card import ClassInfo
from model_store.live import MAX_CLASSES
from service.problems import Problem
from service.records.edit_log import ClassState

MAX_NAME_LENGTH = 60  # characters
_COLOR = re.compile(r"#[0-9a-fA-F]{6}")
Color = tuple[int, int, int]


@dataclass(frozen=True)
class ClassRef:
    """A class by its name or its id; color: "#rrggbb" of the class if it is created.

    Raises:
        Problem: 422 unless exactly one of name and class_id is given, or if name or color is malformed.
    """

    name: str | None = None
    class_id: int | None = None
    color: str | None = None

    def __post_init__(self) -> None:
        if (self.name is None) == (self.class_id is None):
            raise Problem(
                422, "A class needs either a name or an id.",
                received={"class_name": self.name, "class_id": self.class_id}, allowed="one of the two",
                fix="Give `class_name`, or a `class_id` of GET /classes.",
            )  # fmt: skip
        if self.name is not None:
            check_name(self.name)
        if self.color is not None:
            parse_color(self.color)


@dataclass
class Classes:
    """The present classes, and those that an edit creates.

    Args:
        states: the present classes in the order of class_id, with the retired ones.

    Attributes:
        new: the classes that `find` and `make` created.
    """

    states: Sequence[ClassState]
    new: list[ClassInfo] = field(default_factory=list)

    def find(self, ref: ClassRef) -> ClassInfo:
        """Find a class, or create it if no class has its name.

        Raises:
            Problem: 404 if no class has the id; 409 if there would be too many classes.
        """
        if ref.class_id is not None:
            return self.by_id(ref.class_id)
        found = self.by_name(str(ref.name))
        return found if found is not None else self.make(str(ref.name), ref.color)

    def by_id(self, class_id: int) -> ClassInfo:
        """Find a class by its id.

        Raises:
            Problem: 404 if there is none, or it is retired.
        """
        if not 0 <= class_id < len(self.states) or self.states[class_id].retired:
            raise Problem(
                404, "There is no class with this id.", received=class_id,
                allowed={info.class_id: info.name for info in self.active},
                fix="Give one of these ids, or a `class_name` to create a class.",
            )  # fmt: skip
        return self.states[class_id].info

    def by_name(self, name: str) -> ClassInfo | None:
        """Find a class by its name, without regard to case; None if there is none."""
        wanted = check_name(name).casefold()
        return next((info for info in [*self.active, *self.new] if info.name.casefold() == wanted), None)

    def make(self, name: str, color: str | None) -> ClassInfo:
        """Create a class; without a colour it gets one unlike those of the other classes.

        Raises:
            Problem: 409 if there would be too many classes.
        """
        class_id = len(self.states) + len(self.new)
        if class_id >= MAX_CLASSES:
            raise Problem(
                409,
                "There are too many classes: a label map has eight bits a pixel, one value means no class, and class "
                "ids are never reused.",
                received=name, allowed=f"at most {MAX_CLASSES} classes, including retired ones",
                fix="Use an existing class, or write a snapshot of the release and build a new release from it.",
            )  # fmt: skip
        taken = [info.color for info in [*self.active, *self.new]]
        info = ClassInfo(
            class_id=class_id,
            name=check_name(name),
            color=most_distinct_color(taken) if color is None else parse_color(color),
        )
        self.new.append(info)
        return info

    def name(self, class_id: int) -> str:
        """The name of a present or new class."""
        known = len(self.states)
        return self.states[class_id].info.name if class_id < known else self.new[class_id - known].name

    @property
    def active(self) -> list[ClassInfo]:
        """The classes that are not retired."""
        return [state.info for state in self.states if not state.retired]


def check_name(name: str) -> str:
    """Check the name of a class, and strip spaces around it.

    Raises:
        Problem: 422 if it is empty, too long, or has characters that cannot be printed.
    """
    stripped = name.strip()
    if not 1 <= len(stripped) <= MAX_NAME_LENGTH or not stripped.isprintable():
        raise Problem(
            422, "The name of the class is not valid.", received=name[:200].encode(errors="replace").decode(),
            allowed=f"1 to {MAX_NAME_LENGTH} printable characters", fix="Give a short name such as kerb.",
        )  # fmt: skip
    return stripped


def parse_color(color: str) -> Color:
    """Parse "#rrggbb" as red, green and blue in 0..255.

    Raises:
        Problem: 422 if the text has another form.
    """
    if not _COLOR.fullmatch(color):
        raise Problem(
            422, "The colour is not valid.", received=color[:40].encode(errors="replace").decode(),
            allowed="#rrggbb, six hexadecimal digits", fix="Give a colour such as #ff8800.",
        )  # fmt: skip
    return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16)


def most_distinct_color(taken: Sequence[Color]) -> Color:
    """The colour that differs most from other colours, neither very dark nor very light."""
    steps = (0, 51, 102, 153, 204, 255)
    candidates = [(r, g, b) for r in steps for g in steps for b in steps if 200 <= r + g + b <= 600]
    return max(candidates, key=lambda c: (min((_distance(c, other) for other in taken), default=0), c))


def _distance(one: Color, other: Color) -> float:
    """The squared difference of two colours as seen: a weighted distance in RGB (T. Riemersma, "Colour metric")."""
    red = (one[0] + other[0]) / 2
    r, g, b = (a - c for a, c in zip(one, other, strict=True))
    return (2 + red / 256) * r * r + 4 * g * g + (2 + (255 - red) / 256) * b * b
