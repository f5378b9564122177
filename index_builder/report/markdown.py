"""Markdown tables, formatted numbers, and the blocks of a page."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from index_builder.report.experiments import NONE

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Plot(NamedTuple):
    """A plot of the page: file name without suffix, caption, and the function that draws it."""

    name: str
    shows: str
    draw: Callable[[], "Figure"]


Block = str | Plot


def table(head: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """A Markdown table; the first `left` columns are aligned left, the others right."""
    rule = [":--" if i < left else "--:" for i in range(len(head))]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in row) + " |" for row in (head, rule, *rows))


def record_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """A table of records with any keys; nested records become columns."""
    flat = [flattened(row) for row in rows]
    keys = list(dict.fromkeys(key for row in flat for key in row))
    words = {key for key in keys if any(isinstance(row.get(key), str) for row in flat)}
    keys = [key for key in keys if key in words] + [key for key in keys if key not in words]
    head = [key.replace("_", " ") for key in keys]
    return table(head, [[number(row.get(key)) for key in keys] for row in flat], left=max(len(words), 1))


def flattened(record: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """{"a": {"b": 1}} -> {"a, b": 1}; lists and histograms are left out."""
    flat: dict[str, Any] = {}
    for key, value in record.items():
        name = f"{before}, {key}" if before else str(key)
        if isinstance(value, Mapping) and key != "histogram":
            flat |= flattened(value, name)
        elif not isinstance(value, list | Mapping):
            flat[name] = value
    return flat


def number(value: Any) -> str:
    """Format a value for a table: three decimals below ten, one above; text and integers unchanged."""
    if value is None:
        return NONE
    if not isinstance(value, float):
        return str(value)
    if value.is_integer() and abs(value) >= 10:
        return f"{value:.0f}"
    if 0 < abs(value) < 0.0005:
        return f"{value:.1e}"
    return f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}"


def details(summary: str, body: str) -> str:
    """A block that the reader can open."""
    return f"<details>\n<summary>{summary}</summary>\n\n{body}\n\n</details>"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
