"""Multipart forms: a received body is divided into its fields, a bounded number with short heads."""

from typing import NamedTuple

from python_multipart.multipart import parse_options_header

from service.problems import Problem

MOST_FIELDS = 20
LONGEST_HEAD = 4000  # bytes of the headers of a field
_LONGEST_BOUNDARY = 70  # characters, by RFC 2046


class _Part(NamedTuple):
    """A field of a form: its head, from start to the blank line, and where its content starts and ends."""

    head: bytes
    start: int
    end: int


class FormFile(NamedTuple):
    """A part of a form that is a file. name: the file's, or that of the field."""

    name: str
    content: bytes


def form_fields(content_type: str, body: bytes) -> dict[str, bytes]:
    """The fields of a multipart form. A part is a field whether it names a file or not; of two with one name, the last.

    Args:
        content_type: the header Content-Type, which names the boundary.
        body: the form.

    Raises:
        Problem: 400 if it is not complete or malformed, or has too many fields or too long heads.
    """
    parts = _parts(body, _delimiter(content_type, body), MOST_FIELDS)
    return {field_name(part.head): body[part.start : part.end] for part in parts}


def form_files(content_type: str, body: bytes, most: int) -> list[FormFile]:
    """The files of a multipart form, in their order.

    Args:
        content_type: the header Content-Type, which names the boundary.
        body: the form.
        most: largest number of files that are read; if there are more, one more is returned.

    Raises:
        Problem: 400 if it is not complete or malformed, or has too long heads.
    """
    parts = _parts(body, _delimiter(content_type, body), most + 1, stops=True)
    return [FormFile(file_name(part.head), body[part.start : part.end]) for part in parts]


def boundary_of(content_type: str) -> bytes:
    """The boundary of a multipart form.

    Raises:
        Problem: 400 if there is none.
    """
    boundary = bytes(parse_options_header(content_type)[1].get(b"boundary", b""))
    if not 0 < len(boundary) <= _LONGEST_BOUNDARY:
        raise _incomplete("a Content-Type without a boundary")
    return boundary


def _delimiter(content_type: str, body: bytes) -> bytes:
    boundary = boundary_of(content_type)
    if b"--%b--" % boundary not in body:
        raise _incomplete(f"{len(body)} bytes without the closing boundary")
    return b"--" + boundary


def _incomplete(received: str) -> Problem:
    return Problem(
        400, "The multipart form is not complete.", received=received,
        allowed="parts between the boundaries that Content-Type names", fix="Send the whole form again.",
    )  # fmt: skip


def _parts(body: bytes, delimiter: bytes, most: int, stops: bool = False) -> list[_Part]:
    place = 0 if body.startswith(delimiter) else body.find(b"\r\n" + delimiter) + 2
    if place < 2 and not body.startswith(delimiter):
        raise malformed("no part begins with a boundary")
    found: list[_Part] = []
    place += len(delimiter)
    while body[place : place + 2] != b"--":
        if len(found) == most:
            if stops:
                break
            raise malformed(f"more than {most} fields")
        if body[place : place + 2] != b"\r\n":
            raise malformed("a boundary without a line break behind it")
        head_end = body.find(b"\r\n\r\n", place, place + LONGEST_HEAD + 4)
        end = body.find(b"\r\n" + delimiter, max(head_end + 2, place))
        if head_end < 0 or end < 0:
            raise malformed("a part without a head, with a long head, or without an end")
        found.append(_Part(body[place + 2 : head_end + 2], head_end + 4, max(end, head_end + 4)))
        place = end + 2 + len(delimiter)
    return found


def field_name(head: bytes) -> str:
    """The name of the field of a part, by its head.

    Raises:
        Problem: 400 if it has none.
    """
    return _options(head)[b"name"].decode(errors="replace")


def file_name(head: bytes) -> str:
    """The name of the file of a part, or of its field if no file is named, by its head.

    Raises:
        Problem: 400 if it has neither.
    """
    options = _options(head)
    return (options.get(b"filename") or options[b"name"]).decode(errors="replace")


def _options(head: bytes) -> dict[bytes, bytes]:
    for line in head.split(b"\r\n"):
        header, _, value = line.partition(b":")
        if header.strip().lower() == b"content-disposition":
            kind, options = parse_options_header(value.strip())
            if kind == b"form-data" and b"name" in options:
                return options
    raise malformed("a part without a name")


def malformed(received: str) -> Problem:
    """400: the form cannot be read."""
    return Problem(
        400, "The multipart form cannot be read.", received=received,
        allowed=f"at most {MOST_FIELDS} fields, each with a name and a head of at most {LONGEST_HEAD} bytes",
        fix="Send one file in the field `image`.",
    )  # fmt: skip
