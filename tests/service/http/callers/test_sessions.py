"""Sessions: their tokens, how they end, and how little they ask of the database."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import Engine, event, select, update

from service.http.callers import sessions as module
from service.http.callers.sessions import FRESH, Sessions
from service.http.keys import Access, new_key
from service.records import session_rows
from service.records.tables import SessionRow
from service.settings import Settings

_, ANNAS = new_key("anna", "curator")
_, BOS = new_key("bo", "reader")
ACCESS = Access([ANNAS, BOS])
SETTINGS = Settings()


@pytest.fixture
def asked(database: Engine) -> list[str]:
    """The statements that were sent to the database."""
    statements: list[str] = []
    event.listen(database, "before_cursor_execute", lambda *given: statements.append(given[2]))
    return statements


def find(sessions: Sessions, token: str, access: Access = ACCESS) -> str | None:
    key = asyncio.run(sessions.find(token, access))
    return None if key is None else key.caller.name


def age(database: Engine, **columns: timedelta) -> None:
    """Set times of all sessions back."""
    with database.begin() as connection:
        for row in connection.execute(select(SessionRow.token_hash, SessionRow.created, SessionRow.last_used)).all():
            older = {name: getattr(row, name) - by for name, by in columns.items()}
            connection.execute(update(SessionRow).where(SessionRow.token_hash == row.token_hash).values(**older))


def test_a_session_is_found_by_every_process_and_its_token_is_not_stored(database: Engine) -> None:
    here, there = Sessions(database, SETTINGS), Sessions(database, SETTINGS)
    tokens = {here.begin(key) for key in (ANNAS, BOS, ANNAS)}
    assert len(tokens) == 3
    assert sorted(str(find(there, token)) for token in tokens) == ["anna", "anna", "bo"]
    with database.connect() as connection:
        stored = repr(connection.execute(select(*SessionRow.__table__.columns)).all())
    assert not any(token in stored for token in tokens)
    assert all(len(token) >= 43 for token in tokens), "256 bits at least"


def test_a_session_that_ended_in_one_process_ends_in_the_other(
    database: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = Sessions(database, SETTINGS), Sessions(database, SETTINGS)
    token = here.begin(ANNAS)
    assert find(there, token) == "anna"
    here.end(token, ACCESS)
    assert find(here, token) is None
    monkeypatch.setattr(module, "FRESH", 0.0)
    assert find(there, token) is None


def test_a_revoked_or_replaced_key_ends_its_sessions_at_once(database: Engine) -> None:
    sessions = Sessions(database, SETTINGS)
    annas, bos = sessions.begin(ANNAS), sessions.begin(BOS)
    _, replaced = new_key("anna", "curator")
    for access in (Access([BOS]), Access([replaced, BOS]), Access([], asked=True)):
        assert find(sessions, annas, access) is None
        assert find(Sessions(database, SETTINGS), annas, access) is None
    assert find(sessions, bos, Access([BOS])) == "bo"


def test_a_session_ends_when_it_is_not_used_and_after_its_longest_time(database: Engine) -> None:
    token = Sessions(database, SETTINGS).begin(ANNAS)
    age(database, last_used=timedelta(seconds=SETTINGS.session_idle_s - 100))
    sessions = Sessions(database, SETTINGS)
    assert find(sessions, token) == "anna"
    sessions.write_uses()
    age(database, last_used=timedelta(seconds=SETTINGS.session_idle_s - 100))
    assert find(Sessions(database, SETTINGS), token) == "anna", "its use was written"
    age(database, last_used=timedelta(seconds=200))
    assert find(Sessions(database, SETTINGS), token) is None
    token = Sessions(database, SETTINGS).begin(ANNAS)
    age(database, created=timedelta(seconds=SETTINGS.session_s + 1))
    assert find(Sessions(database, SETTINGS), token) is None
    Sessions(database, SETTINGS).begin(BOS)
    with database.connect() as connection:
        assert len(connection.execute(select(SessionRow.name)).all()) == 1, "expired ones are deleted"


def test_requests_of_a_session_ask_the_database_rarely(database: Engine, asked: list[str]) -> None:
    sessions = Sessions(database, SETTINGS)
    token = sessions.begin(ANNAS)
    asked.clear()
    for _ in range(500):
        assert find(sessions, token) == "anna"
    sessions.write_uses()
    assert len(asked) <= 1 + 5 / FRESH

    async def at_once() -> None:
        found = await asyncio.gather(*(Sessions.find(other, token, ACCESS) for other in [other] * 50))
        assert all(found)

    other = Sessions(database, SETTINGS)
    asked.clear()
    asyncio.run(at_once())
    assert len(asked) <= 2


def test_a_token_that_no_process_made_asks_nothing_of_the_database(database: Engine, asked: list[str]) -> None:
    sessions = Sessions(database, SETTINGS)
    token = sessions.begin(ANNAS)
    asked.clear()
    forged = ["", "a", token[:-2] + "AA", "AA" + token[2:], token + "A", "\u00e4" * 75, "A" * 75, "A" * 100_000]
    for one in forged:
        assert find(sessions, one) is None
        sessions.end(one, ACCESS)
    assert asked == []
    assert find(sessions, token) == "anna"


def test_a_key_has_a_bounded_number_of_sessions(database: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_rows, "MOST", 3)
    sessions = Sessions(database, SETTINGS)
    bos = sessions.begin(BOS)
    annas = [sessions.begin(ANNAS) for _ in range(5)]
    elsewhere = Sessions(database, SETTINGS)
    assert [find(elsewhere, token) for token in annas] == [None, None, "anna", "anna", "anna"]
    assert find(elsewhere, bos) == "bo"


def test_a_token_of_another_release_of_the_key_is_not_found_although_its_row_exists(database: Engine) -> None:
    """Who can write the name of a key into the database alone cannot make a session of it."""
    token = Sessions(database, SETTINGS).begin(BOS)
    with database.begin() as connection:
        connection.execute(update(SessionRow).values(name="anna"))
    assert find(Sessions(database, SETTINGS), token) is None
