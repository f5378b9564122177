"""docs/budgets.md has the budgets of the program."""

from tools.budgets import PAGE, completed, lanes_table, routes_table


def test_the_page_has_every_budget() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert lanes_table() in page
    assert routes_table() in page
    assert completed(page) == page, "run `python -m tools.budgets`"
