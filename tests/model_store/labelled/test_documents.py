"""Annotation files that are damaged are refused with their place and their content."""

import json

import pytest
from pydantic import TypeAdapter

from model_store.labelled.documents import Document, beginning, conform, from_base64, read_json, shortened


class Shape(Document):
    label: str
    points: list[tuple[float, float]]


MODEL = TypeAdapter(list[Shape])


def test_json_may_begin_with_a_byte_order_mark(tmp_path):
    (tmp_path / "a.json").write_bytes(b"\xef\xbb\xbf" + json.dumps({"name": "Straße"}).encode())

    assert read_json(tmp_path / "a.json") == {"name": "Straße"}


@pytest.mark.parametrize("content", [b"", b"{", b'{"a": "\xff"}', b"[" * 100_000])
def test_what_is_no_json_is_refused_with_the_name_of_the_file(tmp_path, content):
    (tmp_path / "a.json").write_bytes(content)

    with pytest.raises(ValueError, match=r"a\.json cannot be read as JSON"):
        read_json(tmp_path / "a.json")


def test_a_missing_file_is_refused_with_its_name(tmp_path):
    with pytest.raises(ValueError, match=r"none\.json cannot be read as JSON"):
        read_json(tmp_path / "none.json")


def test_unknown_fields_are_ignored():
    (shape,) = conform([{"label": "a", "points": [[1, 2.5]], "group_id": None}], MODEL, "here")

    assert (shape.label, shape.points) == ("a", [(1.0, 2.5)])


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([{"points": []}], r"here: \[0\]\.label is missing"),
        ([{"label": 3, "points": []}], r"here: \[0\]\.label is 3\. Input should be a valid string"),
        ([{"label": "a", "points": [[1, "x"]]}], r"here: \[0\]\.points\[0\]\[1\] is 'x'"),
        ([{"label": "a", "points": [[1, 2, 3]]}], r"here: \[0\]\.points\[0\]"),
        ([{"label": "a", "points": [[1, float("nan")]]}], r"here: \[0\]\.points\[0\]\[1\] is nan"),
        ({"label": "a"}, r"here: the whole is \{'label': 'a'\}"),
    ],
)
def test_what_does_not_follow_the_model_is_refused_with_its_place(value, message):
    with pytest.raises(ValueError, match=message):
        conform(value, MODEL, "here")


def test_damaged_base64_is_refused():
    assert from_base64("aGk=", "here") == b"hi"
    with pytest.raises(ValueError, match="here: 'aGk' is no base64"):
        from_base64("aGk", "here")


def test_beginnings_of_files(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbfabc\xff" + b"d" * 100)

    assert beginning(tmp_path / "a.txt", 7).startswith("abc")
    assert beginning(tmp_path / "none.txt") == ""
    assert beginning(tmp_path) == ""
    assert len(shortened("x" * 1000)) == 60
