"""JSON of callers: what is refused before it is parsed."""

import json
import tracemalloc

import pytest

from service.json_parsing import DEEPEST, check_json, parsed_json
from service.problems import Problem


def status(content: bytes, values: int = 1_000_000) -> int:
    with pytest.raises(Problem) as raised:
        parsed_json(content, values)
    return raised.value.status


@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}"), (b'[{"]":', b"}]")])
def test_deep_json_is_refused_and_less_deep_json_is_not(opening: bytes, closing: bytes) -> None:
    levels = opening.count(b"[") + opening.count(b"{")
    deep = DEEPEST // levels
    assert parsed_json(opening * deep + b"1" + closing * deep, 1000)
    assert status(opening * (deep + 1) + b"1" + closing * (deep + 1)) == 400


def test_brackets_in_texts_are_not_levels() -> None:
    for text in ("[" * 1000, '\\"' + "{" * 500, '"[{' * 100, "[\\" * 300):
        assert parsed_json(json.dumps([text, {"a": text}]).encode(), 10_000) == [text, {"a": text}]


def test_many_values_are_refused_before_they_take_memory() -> None:
    content = b"[" + b"[]," * 1_000_000 + b"1]"
    tracemalloc.start()
    assert status(content, 400_000) == 413
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()


def test_large_json_is_refused() -> None:
    with pytest.raises(Problem, match="at most 10 bytes") as raised:
        check_json(b'"aaaaaaaaaaaaaaa"', 10, most=10)
    assert raised.value.status == 413


@pytest.mark.parametrize("content", [b"", b"{", b"nul", b"\xff", b"[" * 40, b"]" * 500])
def test_what_is_not_json_raises_the_error_of_the_parser(content: bytes) -> None:
    with pytest.raises(json.JSONDecodeError):
        parsed_json(content, 1000)
