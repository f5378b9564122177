"""Classes as callers name them: which one is meant, and whether a new one may be made."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from model_store.card import ClassInfo
from model_store.live import MAX_CLASSES
from service.problems import Problem
from service.records.edit_log import ClassState

LONGEST = 60
_COLOR = re.compile(r"#[0-9a-fA-F]{6}")
Color = tuple[int, int, int]


@dataclass(frozen=True)
class ClassRef:
    """A class by its name or its id; color is that of a new class."""

    name: str | None = None
    class_id: int | None = None
    color: str | None = None

    def __post_init__(self) -> None:
        if (self.name is None) == (self.class_id is None):
            raise Problem(
                422, "A class is given by its name or by its id.",
                received={"class_name": self.name, "class_id": self.class_id}, allowed="one of the two",
                fix="Give `class_name`, or the `class_id` of GET /classes.",
            )  # fmt: skip
        if self.name is not None:
            check_name(self.name)
        if self.color is not None:
            parse_color(self.color)


@dataclass
class Classes:
    """The classes at the end of the log, to which an edit may add.

    Args:
        states: by class_id.
    """

    states: Sequence[ClassState]
    new: list[ClassInfo] = field(default_factory=list)

    def find(self, ref: ClassRef) -> ClassInfo:
        """The class that is meant, which is made if its name is new.

        Raises:
            Problem: 404 if there is no class of this id, 409 if there may be no more classes.
        """
        if ref.class_id is not None:
            return self.by_id(ref.class_id)
        found = self.by_name(str(ref.name))
        return found if found is not None else self.make(str(ref.name), ref.color)

    def by_id(self, class_id: int) -> ClassInfo:
        """The class of an id.

        Raises:
            Problem: 404 if there is none, or it is retired.
        """
        if not 0 <= class_id < len(self.states) or self.states[class_id].retired:
            raise Problem(
                404, "There is no such class.", received=class_id,
                allowed={info.class_id: info.name for info in self.offered},
                fix="Give one of these, or a `class_name` to make a new class.",
            )  # fmt: skip
        return self.states[class_id].info

    def by_name(self, name: str) -> ClassInfo | None:
        """The class of a name, however its letters are cased; None if there is none."""
        wanted = check_name(name).casefold()
        return next((info for info in [*self.offered, *self.new] if info.name.casefold() == wanted), None)

    def make(self, name: str, color: str | None) -> ClassInfo:
        """A new class.

        Raises:
            Problem: 409 if there may be no more.
        """
        class_id = len(self.states) + len(self.new)
        if class_id >= MAX_CLASSES:
            raise Problem(
                409, "There may be no more classes: label maps have eight bits a pixel, and no number is used twice.",
                received=name, allowed=f"at most {MAX_CLASSES} classes, retired ones among them",
                fix="Use a class that is there, or take a snapshot of the release and build a new one from it.",
            )  # fmt: skip
        taken = [info.color for info in [*self.offered, *self.new]]
        info = ClassInfo(
            class_id=class_id, name=check_name(name), color=far_from(taken) if color is None else parse_color(color)
        )
        self.new.append(info)
        return info

    @property
    def offered(self) -> list[ClassInfo]:
        """Those that are not retired."""
        return [state.info for state in self.states if not state.retired]


def check_name(name: str) -> str:
    """A name of a class, without blanks around it.

    Raises:
        Problem: 422 if it cannot be one.
    """
    stripped = name.strip()
    if not 1 <= len(stripped) <= LONGEST or not stripped.isprintable():
        raise Problem(
            422, "This cannot be the name of a class.", received=name[:200].encode(errors="replace").decode(),
            allowed=f"1 to {LONGEST} characters that can be printed", fix="Give a short name such as kerb.",
        )  # fmt: skip
    return stripped


def parse_color(color: str) -> Color:
    """Red, green and blue of "#rrggbb".

    Raises:
        Problem: 422 if it is not of this form.
    """
    if not _COLOR.fullmatch(color):
        raise Problem(
            422, "This is no colour.", received=color[:40].encode(errors="replace").decode(),
            allowed="#rrggbb, each two hexadecimal digits", fix="Give a colour such as #ff8800.",
        )  # fmt: skip
    return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16)


def far_from(taken: Sequence[Color]) -> Color:
    """A colour as unlike those that are taken as can be, neither very dark nor very light."""
    steps = (0, 51, 102, 153, 204, 255)
    candidates = [(r, g, b) for r in steps for g in steps for b in steps if 200 <= r + g + b <= 600]
    return max(candidates, key=lambda c: (min((_distance(c, other) for other in taken), default=0), c))


def _distance(one: Color, other: Color) -> float:
    """How unlike two colours look: a weighed distance in RGB (T. Riemersma's low-cost approximation)."""
    red = (one[0] + other[0]) / 2
    r, g, b = (a - c for a, c in zip(one, other, strict=True))
    return (2 + red / 256) * r * r + 4 * g * g + (2 + (255 - red) / 256) * b * b
