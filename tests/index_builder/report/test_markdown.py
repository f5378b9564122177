"""Markdown of the page: tables, records with unknown keys, and numbers."""

import pytest

from index_builder.report.markdown import details, flattened, number, record_table, table


def test_a_table_has_words_to_the_left_and_numbers_to_the_right() -> None:
    lines = table(["name", "a", "b"], [["x", "1", "2"], ["y", "3", "4"]]).splitlines()
    assert lines == ["| name | a | b |", "| :-- | --: | --: |", "| x | 1 | 2 |", "| y | 3 | 4 |"]


def test_a_cell_cannot_break_its_table() -> None:
    assert table(["a"], [["x|y\nz"]]).splitlines()[-1] == "| x\\|y z |"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"), ("word", "word"), (3, "3"), (0.12345, "0.123"), (12.345, "12.3"), (1500.0, "1500"), (1.0, "1.000"),
        (0.00012, "1.2e-04"), (0.0, "0.000"), (-0.5, "-0.500"), (True, "True"),
    ],
)  # fmt: skip
def test_a_number_has_three_decimals_below_ten(value: object, text: str) -> None:
    assert number(value) == text


def test_nested_records_become_columns_without_lists_and_histograms() -> None:
    record = {"a": {"b": 1, "c": {"d": 2}}, "list": [1], "histogram": {"1": 5}, "e": "word"}
    assert flattened(record) == {"a, b": 1, "a, c, d": 2, "e": "word"}


def test_records_with_different_keys_share_a_table_with_words_first() -> None:
    lines = record_table([{"miou": 0.5, "name": "x"}, {"name": "y", "other_value": 2}]).splitlines()
    assert lines[0] == "| name | miou | other value |"
    assert lines[2:] == ["| x | 0.500 | - |", "| y | - | 2 |"]


def test_details_can_be_opened() -> None:
    assert details("head", "body") == "<details>\n<summary>head</summary>\n\nbody\n\n</details>"
