"""An explanation as a page that can be read and printed: no script, and nothing from other hosts."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

_TEMPLATES = Path(__file__).parent.parent / "templates"
_ROUNDING = 1e-9


def explanation_page(explanation: Mapping[str, Any]) -> str:
    """The JSON of GET /explain/{segment_id} as HTML. Every value is escaped.

    Raises:
        jinja2.UndefinedError: if the explanation lacks a value that the page shows.
    """
    colors = {entry["class_id"]: entry["color"] for entry in explanation["vote"]["classes"]}
    style = Markup((_TEMPLATES / "explanation.css").read_text(encoding="utf-8"))
    color = colors.get(explanation["class_id"])
    return _ENVIRONMENT.get_template("explanation.html").render(explanation, color=color, style=style)


def percent(share: float) -> str:
    """A share from 0 to 1 with one decimal. A share below 1 by more than rounding is not shown as 100 %."""
    return "> 99.9%" if 0.9995 <= share < 1 - _ROUNDING else f"{share:.1%}"


_ENVIRONMENT = Environment(loader=FileSystemLoader(_TEMPLATES), autoescape=True, undefined=StrictUndefined)
_ENVIRONMENT.filters["percent"] = percent
