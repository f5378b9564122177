"""Reading of simple YAML files, such as data.yaml of YOLO: a mapping of names to texts, lists and mappings of texts."""

import re
from collections.abc import Iterator
from pathlib import Path

from model_store.labelled.class_lists import read_text

Value = str | list[str] | dict[str, str]

_KEY = re.compile(r"""("(?:[^"\\]|\\.)*"|'(?:[^']|'')*'|[^\s"'\[\]{},#&*!|>%@`][^:#]*?)\s*:(?:\s+|$)""")
_QUOTED = re.compile(r""""(?:[^"\\]|\\.)*"|'(?:[^']|'')*'""")
_ESCAPE = re.compile(r"\\(x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}|.)", re.DOTALL)
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "0": "\0", "e": "\x1b", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}


class SimpleYaml:
    """A YAML file (https://yaml.org/spec/1.2.2) whose outermost value is a block mapping.

    Values are read when they are asked for, so other members may be of any form. Texts keep their spelling: `no` and
    `1.0` are the texts "no" and "1.0".

    Args:
        file: to be read.

    Raises:
        ValueError: if it is not such a mapping, or has a name twice. The message states the line.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self._members: dict[str, list[tuple[int, str]]] = {}  # the numbered lines of each value
        lines: list[tuple[int, str]] | None = None
        for number, line in enumerate(read_text(file).splitlines(), 1):
            bare = _without_comment(line)
            if not bare.strip() or (lines is None and bare.startswith(("%", "---"))):
                continue
            if bare[0] in " \t-]}" and lines is not None:
                lines.append((number, bare))
                continue
            match = _KEY.match(bare)
            name = "" if match is None else _text(match[1])
            if match is None or name in self._members:
                raise self._error(number, line, "it must be a name and a colon, each name once")
            lines = self._members[name] = [(number, bare[match.end() :])]

    def names(self) -> list[str]:
        """The names of the members."""
        return list(self._members)

    def get(self, name: str) -> Value | None:
        """The value of a member: a text, a list or mapping of texts; None: there is none, or it is empty.

        Raises:
            ValueError: if it is of another form. The message states the line.
        """
        (number, first), *rest = self._members.get(name, [(0, "")])
        whole = " ".join([first.strip(), *(line.strip() for _, line in rest)])
        if first.strip()[:1] in ("[", "{"):
            return self._flow(number, whole)
        if first.strip():
            if rest or not _is_scalar(first.strip()):
                raise self._error(number, whole, "it must be a text of one line, a list or a mapping")
            return _text(first.strip())
        if not rest:
            return None
        if rest[0][1].lstrip().startswith("- ") or rest[0][1].strip() == "-":
            return list(self._items(rest))
        return dict(self._pairs(rest))

    def _items(self, lines: list[tuple[int, str]]) -> Iterator[str]:
        for number, line in lines:
            item = line.strip().removeprefix("-")
            if item == line.strip() or not _is_scalar(item.strip()) or _KEY.match(item.strip()):
                raise self._error(number, line, "it must be a list of texts, each on a line with a hyphen")
            yield _text(item.strip())

    def _pairs(self, lines: list[tuple[int, str]]) -> Iterator[tuple[str, str]]:
        depth, seen = len(lines[0][1]) - len(lines[0][1].lstrip()), set[str]()
        for number, line in lines:
            match = _KEY.match(line.strip())
            value = "" if match is None else line.strip()[match.end() :]
            name = "" if match is None else _text(match[1])
            if match is None or len(line) - len(line.lstrip()) != depth or not _is_scalar(value) or name in seen:
                raise self._error(number, line, "it must be a mapping of texts, each name once")
            seen.add(name)
            yield name, _text(value)

    def _flow(self, number: int, text: str) -> list[str] | dict[str, str]:
        """A list [a, b] or a mapping {0: a, 1: b} of texts."""
        closing = "]" if text[0] == "[" else "}"
        parts = list(_split(text[1:-1])) if text[-1] == closing else [""]
        if parts and not parts[-1]:
            parts.pop()  # a comma may follow the last item
        if text[-1] != closing or not all(part and part[0] not in "[{" for part in parts):
            raise self._error(number, text, f"it must be texts in {text[0]}{closing}, with a comma between them")
        if closing == "]":
            if any(_KEY.match(part) for part in parts):
                raise self._error(number, text, "it must be a list of texts")
            return [_text(part) for part in parts]
        matches = [_KEY.match(part) for part in parts]
        found = {_text(m[1]): _text(part[m.end() :]) for m, part in zip(matches, parts, strict=True) if m is not None}
        if len(found) < len(parts):
            raise self._error(number, text, "it must be a mapping of texts, each name once")
        return found

    def _error(self, number: int, found: str, allowed: str) -> ValueError:
        return ValueError(f"{self.file}: line {number} has {found.strip()[:80]!r}; {allowed}")


def _without_comment(line: str) -> str:
    """A line without the comment that begins with "#" at its start or after a space, outside quotes."""
    position = 0
    while position < len(line):
        quoted = _QUOTED.match(line, position)
        before = line[position - 1] if position else " "
        if quoted is not None and before in " \t[{,:-":
            position = quoted.end()
        elif line[position] == "#" and before in " \t":
            return line[:position].rstrip()
        else:
            position += 1
    return line.rstrip()


def _split(text: str) -> Iterator[str]:
    """The parts between commas outside quotes, stripped."""
    start = position = 0
    while position < len(text):
        quoted = (
            _QUOTED.match(text, position) if not text[start:position].strip() or text[position - 1] in " :" else None
        )
        if quoted is not None:
            position = quoted.end()
            continue
        if text[position] == ",":
            yield text[start:position].strip()
            start = position + 1
        position += 1
    yield text[start:].strip()


def _is_scalar(text: str) -> bool:
    """Whether a text is a plain or quoted scalar, and nothing that begins another structure."""
    if text[:1] in ('"', "'"):
        return _QUOTED.fullmatch(text) is not None
    return bool(text) and text[0] not in "[]{},#&*!|>%@`"


def _text(text: str) -> str:
    """A scalar without its quotes."""
    if text[:1] == '"' and _QUOTED.fullmatch(text):
        return _ESCAPE.sub(lambda found: _unescaped(found[1]), text[1:-1])
    if text[:1] == "'" and _QUOTED.fullmatch(text):
        return text[1:-1].replace("''", "'")
    return text.strip()


def _unescaped(code: str) -> str:
    return chr(int(code[1:], 16)) if len(code) > 1 else _ESCAPED.get(code, code)
