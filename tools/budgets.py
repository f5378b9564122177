"""Write the tables of docs/budgets.md from `service.http.budgets`.

`python -m tools.budgets` rewrites the page between its markers.
"""

from pathlib import Path

from service.http.budgets import BUDGETS, LANES, ON_DISK, Budget

PAGE = Path(__file__).parent.parent / "docs" / "budgets.md"
_SETTINGS = {name: f"`SEGSORT_{name.upper()}`" for name in ("max_bytes", *ON_DISK)} | {"none": "none"}


def lanes_table() -> str:
    """The lanes as a table in Markdown."""
    rows = [
        f"| `{name}` | {one.at_once} | {one.waiting} | {one.holds} MB | {one.about} |" for name, one in LANES.items()
    ]
    return "\n".join(["| lane | at once | waiting | holds each | requests |", "|---|---|---|---|---|", *rows])


def routes_table() -> str:
    """The budgets of routes as a table in Markdown."""
    rows = [_row(name, one) for name, one in BUDGETS.items()]
    return "\n".join(["| route | lane | body | values of JSON | query |", "|---|---|---|---|---|", *rows])


def completed(page: str) -> str:
    """A page with both tables between their markers."""
    for name, table in (("lanes", lanes_table()), ("routes", routes_table())):
        start, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
        before, _, rest = page.partition(start)
        page = f"{before}{start}\n{table}\n{end}{rest.partition(end)[2]}"
    return page


def _row(name: str, budget: Budget) -> str:
    body = _SETTINGS[budget.body] if isinstance(budget.body, str) else _bytes(budget.body)
    values = "" if budget.body in ("none", *ON_DISK) else f"{budget.values:,}"
    lane = "" if budget.lane is None else f"`{budget.lane}`"
    return f"| `{name}` | {lane} | {body} | {values} | {_bytes(budget.query)} |"


def _bytes(size: int) -> str:
    return f"{size // 1000} kB" if size < 1_000_000 else f"{size // 1_000_000} MB"


if __name__ == "__main__":
    PAGE.write_text(completed(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
