"""Classes as requests name them: finding an existing class, or creating one."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from model_store.card import ClassInfo
from model_store.class_names import MAX_NAME_LENGTH, fault_of, matches, name_key, normalized
from model_store.live import MAX_CLASSES
from service.editing.class_colors import Color, most_distinct_color
from service.problems import Problem
from service.records.edit_log import ClassState

_COLOR = re.compile(r"#[0-9a-fA-F]{6}")


@dataclass(frozen=True)
class ClassRef:
    """A class by its name or its id; color: "#rrggbb" of the class if it is created.

    The name is not checked, because an existing class may have any name. `Classes.make` checks a new one.

    Raises:
        Problem: 422 unless exactly one of name and class_id is given, or if color is malformed.
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
            Problem: 404 if no class has the id; 409 if there would be too many classes; 422 if the name is not allowed
                or fits several classes.
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
        """Find a class by its name: an exact match first, then without regard to case; None if there is none.

        Raises:
            Problem: 422 if the names of several classes differ from the name by case only.
        """
        found = self.named(name)
        if len(found) > 1:
            raise Problem(
                422, "The name fits several classes, which differ by case only.", received=shown(name),
                allowed={info.class_id: info.name for info in found},
                fix="Give the name exactly, or the `class_id`.",
            )  # fmt: skip
        return found[0] if found else None

    def named(self, name: str) -> list[ClassInfo]:
        """The classes that a name means, see `model_store.class_names.matches`."""
        infos = [*self.active, *self.new]
        return [infos[n] for n in matches(name, [info.name for info in infos])]

    def make(self, name: str, color: str | None) -> ClassInfo:
        """Create a class; without a colour it gets one unlike those of the other classes.

        Raises:
            Problem: 409 if there would be too many classes; 422 if the name is not allowed.
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


class ClassRefs:
    """The classes that a request names, each once.

    Args:
        names: of the present classes. A name that fits one of them stands for it; a new name must be allowed.

    Attributes:
        refs: the classes, in the order in which they were first named.
    """

    def __init__(self, names: Sequence[str] = ()) -> None:
        self._names = names
        self._keys = dict[str, tuple[str, str | int]]()
        self._positions = dict[tuple[str, str | int], int]()
        self.refs = list[ClassRef]()

    def position(self, ref: ClassRef) -> int:
        """The position of a class in `refs`; a class that was not named before is appended.

        Raises:
            Problem: 422 if a new name is not allowed.
        """
        key = ("id", ref.class_id) if ref.class_id is not None else self._key(str(ref.name))
        if key not in self._positions:
            self._positions[key] = len(self.refs)
            self.refs.append(ref)
        return self._positions[key]

    def _key(self, name: str) -> tuple[str, str | int]:
        if name not in self._keys:
            found = matches(name, self._names)
            self._keys[name] = ("known", found[0]) if len(found) == 1 else ("new", name_key(check_name(name)))
        return self._keys[name]


def check_name(name: str) -> str:
    """Check the name of a new class. The result is in NFC, without spaces around it.

    Raises:
        Problem: 422 if it is empty or too long, or has control or format characters.
    """
    found, fault = normalized(name), fault_of(name)
    if fault is None and len(found) > MAX_NAME_LENGTH:
        fault = f"it has {len(found)} characters"
    if fault is not None:
        raise Problem(
            422, f"The name of the class is not valid: {fault}.", received=shown(name),
            allowed=f"1 to {MAX_NAME_LENGTH} characters that can be seen, with spaces between them",
            fix="Give a short name such as kerb.",
        )  # fmt: skip
    return found


def shown(name: str) -> str:
    """A name for a message: its beginning, without halves of surrogate pairs."""
    return name[:200].encode(errors="replace").decode()


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
