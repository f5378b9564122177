"""Problems: shortened values, and the answers to errors of the framework, the disk and the database."""

import errno
import json
import math
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy.exc import OperationalError

from service.logs import request_id
from service.problems import CallerLeft, Problem, add_problem_handlers, brief, printable, problem_response


@pytest.mark.parametrize("value", [None, True, False, 0, -3, 2.5, "", "text", [], [1, "a"], {}, {"a": [1]}])
def test_a_short_value_stays_as_it_is(value: Any) -> None:
    assert brief(value) == value
    assert type(brief(value)) is type(value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("x" * 501, "x" * 500 + "..."),
        ("x" * 500, "x" * 500),
        (math.nan, "nan"),
        (-math.inf, "-inf"),
        ((1, 2), [1, 2]),
        ({1: 2}, {"1": 2}),
        ({"k" * 61: 0}, {"k" * 60 + "...": 0}),
        (list(range(30)), list(range(20))),
        (b"", "no bytes"),
        (b"plain\ntext", "plain\ntext"),
        (b"\xff\xd8\xff", "3 bytes that are not text"),
        (b"a\x00b", "3 bytes that are not text"),
        (b"y" * 600, "y" * 500 + "..."),
        (ValueError("wrong"), "wrong"),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_a_long_or_unusual_value_is_shortened_or_described(value: Any, expected: Any) -> None:
    assert brief(value) == expected


def test_nested_values_keep_fewer_entries_and_end_in_dots() -> None:
    shortened = brief([[["a"] * 30] * 30] * 30)
    assert (len(shortened), len(shortened[0]), len(shortened[0][0])) == (20, 5, 1)
    deep: Any = "x"
    for _ in range(900):
        deep = [deep]
    assert json.dumps(brief(deep)) == '[[["..."]]]'


def test_a_shortened_value_is_small_whatever_was_received() -> None:
    wide = {f"{'k' * 1000}{n}": ["v" * 10_000] * 100 for n in range(1000)}
    assert len(json.dumps(brief(wide))) < 40_000


def test_lone_surrogates_become_question_marks() -> None:
    assert printable("a\ud800b") == "a?b"
    assert printable("Stra\u00dfe") == "Stra\u00dfe"


def test_a_problem_as_text_has_all_of_its_parts() -> None:
    problem = Problem(422, "No size.", received={"size": 0}, allowed="1 to 9", fix="Give a size.")
    assert str(problem) == "No size.; received: {'size': 0}; allowed: 1 to 9; Give a size."


def test_the_answer_has_the_fields_that_are_known_and_the_request_id() -> None:
    token = request_id.set("abc")
    try:
        response = problem_response(Problem(404, "None.", headers={"A": "1"}), {"B": "2"})
    finally:
        request_id.reset(token)
    assert json.loads(response.body) == {
        "type": "about:blank", "title": "Not Found", "status": 404, "detail": "None.", "request_id": "abc",
    }  # fmt: skip
    assert (response.status_code, response.media_type) == (404, "application/problem+json")
    assert (response.headers["a"], response.headers["b"]) == ("1", "2")


def test_a_lone_surrogate_is_escaped_in_the_answer() -> None:
    assert json.loads(problem_response(Problem(422, "No.", received="\ud800")).body)["received"] == "\ud800"


@pytest.fixture
def failing() -> TestClient:
    """An app whose route /fail raises the error in `app.state.error`."""
    app = FastAPI()
    add_problem_handlers(app)

    @app.get("/fail")
    def fail(limit: int = 1) -> None:
        raise app.state.error

    @app.post("/body")
    def take(body: dict[str, int]) -> None:
        raise AssertionError("the body is refused")

    return TestClient(app, raise_server_exceptions=False)


@pytest.mark.parametrize(
    ("error", "status", "detail"),
    [
        (Problem(409, "It exists."), 409, "It exists."),
        (OSError(errno.ENOSPC, "No space left on device"), 503, "The disk is full or cannot be written."),
        (OSError(errno.EROFS, "Read-only"), 503, "The disk is full or cannot be written."),
        (OperationalError("SELECT 1", {}, Exception("gone")), 503, "The database does not answer."),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_an_error_has_its_status_and_detail(failing: TestClient, error: Exception, status: int, detail: str) -> None:
    failing.app.state.error = error  # type: ignore[attr-defined]
    answer = failing.get("/fail")
    assert (answer.status_code, answer.json()["detail"]) == (status, detail)
    assert answer.headers["content-type"] == "application/problem+json"


def test_other_errors_of_the_system_are_failures_of_the_service(failing: TestClient) -> None:
    failing.app.state.error = OSError(errno.ENOENT, "No such file")  # type: ignore[attr-defined]
    assert failing.get("/fail").status_code == 500


def test_a_caller_that_left_gets_no_body(failing: TestClient) -> None:
    failing.app.state.error = CallerLeft()  # type: ignore[attr-defined]
    answer = failing.get("/fail")
    assert (answer.status_code, answer.content) == (499, b"")


def test_errors_of_the_framework_say_what_is_wrong_where(failing: TestClient) -> None:
    invalid = failing.get("/fail?limit=x")
    assert invalid.status_code == 422
    assert invalid.json()["received"] == {"query.limit": "x"}
    assert invalid.json()["allowed"] == {"query.limit": "a valid integer, unable to parse string as an integer"}
    assert invalid.json()["detail"].startswith("query.limit: ")
    nowhere = failing.get("/nothing").json()
    assert (nowhere["detail"], nowhere["received"]) == ("No route has the path /nothing.", "/nothing")
    nested = failing.post("/body", content=b"[" * 100_000, headers={"content-type": "application/json"})
    assert nested.status_code in (400, 422)
    assert {"received", "allowed", "fix"} <= set(nested.json())
    refused = failing.post("/fail")
    assert (refused.status_code, refused.headers["allow"], refused.json()["allowed"]) == (405, "GET, HEAD", "GET, HEAD")
