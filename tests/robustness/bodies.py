"""JSON as it should not be, made from bodies that are good."""

import json
from collections.abc import Iterator
from typing import Any

HUGE = "1" + "0" * 30
_DEPTHS = (50, 400, 960, 990, 1005, 1020, 5000, 100_000)  # parsers and printers end at different ones

# In place of a value, as raw JSON: what some parser, a database, a file or an orderly sum may stumble over.
VALUES = {
    "null": "null",
    "true": "true",
    "zero": "0",
    "minus one": "-1",
    "half": "0.5",
    "2**53": str(2**53),
    "2**62": str(2**62),
    "2**63": str(2**63),
    "-2**63 - 1": str(-(2**63) - 1),
    "10**30": HUGE,
    "4000 digits": "9" * 4000,
    "5000 digits": "9" * 5000,
    "1e400": "1e400",
    "NaN": "NaN",
    "Infinity": "-Infinity",
    "empty text": '""',
    "blanks": '"   \\t"',
    "NUL": '"a\\u0000b"',
    "half a pair": '"\\ud800"',
    "the other half": '"\\udc80"',
    "right to left": '"\\u202eabc"',
    "combining": '"' + "e\\u0301" * 40 + '"',
    "a digit of another script": '"\\u0663"',
    "path": '"../../etc/passwd"',
    "statement": '"\'; DROP TABLE edits; --"',
    "markup": '"<script>alert(1)</script>"',
    "long": '"' + "x" * 300_000 + '"',
    "empty list": "[]",
    "empty object": "{}",
    "list of all sorts": f'[null, true, {HUGE}, "\\ud800", [[]], {{"": {{}}}}]',
    "long list": "[" + "0," * 50_000 + "0]",
    "many names": "{" + ",".join(f'"k{n}": 0' for n in range(5000)) + "}",
    **{f"{depth} deep": "[" * depth + "]" * depth for depth in _DEPTHS},
    "objects 990 deep": '{"a":' * 990 + "0" + "}" * 990,
}

# In place of a whole body.
BODIES = {
    "nothing": b"",
    "a word": b"hello",
    "half": b'{"name": "ker',
    "two": b"{}{}",
    "not UTF-8": b'{"name": "\xff\xfe"}',
    "UTF-16": '{"name": "kerb"}'.encode("utf-16"),
    "a mark of order first": b'\xef\xbb\xbf{"name": "kerb"}',
    "NULs": bytes(100),
    "a name twice": b'{"name": "one", "name": "two"}',
    "a name of half a pair": b'{"\\ud800": 1}',
    "a long name": b'{"' + b"k" * 300_000 + b'": 1}',
    **{name: value.encode() for name, value in VALUES.items()},
}


def mutated(body: dict[str, Any]) -> Iterator[tuple[str, bytes]]:
    """A good body with each value, those within lists and objects too, replaced by each hostile one, or left out."""
    for path in _paths(body):
        for name, value in VALUES.items():
            yield f"{_spelt(path)} = {name}", _replaced(body, path, value)
        yield f"without {_spelt(path)}", json.dumps(_without(body, path)).encode()
    yield "a name too many", json.dumps(body | {"surprise": 1}).encode()


def _paths(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    entries = value.items() if isinstance(value, dict) else enumerate(value[:1]) if isinstance(value, list) else ()
    for key, inner in entries:
        yield (*path, key)
        yield from _paths(inner, (*path, key))


def _replaced(body: dict[str, Any], path: tuple[str | int, ...], value: str) -> bytes:
    mark = "\0here\0"
    copy = json.loads(json.dumps(body))
    _parent(copy, path)[path[-1]] = mark
    return json.dumps(copy).replace(json.dumps(mark), value).encode()


def _without(body: dict[str, Any], path: tuple[str | int, ...]) -> Any:
    copy = json.loads(json.dumps(body))
    del _parent(copy, path)[path[-1]]
    return copy


def _parent(value: Any, path: tuple[str | int, ...]) -> Any:
    for key in path[:-1]:
        value = value[key]
    return value


def _spelt(path: tuple[str | int, ...]) -> str:
    return ".".join(str(key) for key in path)
