"""What a request presents to say who sends it: a key in a header, or the token of a session in a cookie."""

from collections.abc import Iterable
from typing import NamedTuple

COOKIE = "segsort_session"
COOKIES = (f"__Host-{COOKIE}", f"__Secure-{COOKIE}", COOKIE)  # browsers let only pages over TLS set the first two
OLD_COOKIE = "segsort_key"  # held the key itself; it is removed from browsers
_IN_COOKIE = COOKIE.encode()
_BEARER = b"bearer"


class Presented(NamedTuple):
    """key: of a header; None: there is none. tokens: of the cookies of sessions, by name."""

    key: str | None
    tokens: dict[str, str]


_NOTHING = Presented(None, {})


def presented(headers: Iterable[tuple[bytes, bytes]]) -> Presented:
    """Read the headers of a request. A key in a header takes precedence over a cookie."""
    bearer = header = None
    cookies: list[bytes] = []
    for name, value in headers:
        if name == b"authorization" and bearer is None:
            scheme, _, rest = value.partition(b" ")
            bearer = rest.strip() if scheme.lower() == _BEARER else None
        elif name == b"x-api-key" and header is None:
            header = value.strip()
        elif name == b"cookie" and _IN_COOKIE in value:
            cookies.append(value)
    key = bearer or header
    if not key and not cookies:
        return _NOTHING
    return Presented(key.decode("latin-1") if key else None, _tokens(cookies) if cookies else {})


def cookie_name(secure: bool, path: str) -> str:
    """The name of the cookie: by its prefix, browsers refuse one that another host or a page without TLS sets."""
    if not secure:
        return COOKIE
    return COOKIES[0] if path == "/" else COOKIES[1]


def token_of(tokens: dict[str, str], secure: bool) -> str | None:
    """The token that counts. secure: the request came over TLS, so that a cookie without a prefix is not accepted."""
    names = COOKIES[:2] if secure else COOKIES
    return next((tokens[name] for name in names if name in tokens), None)


def _tokens(cookies: list[bytes]) -> dict[str, str]:
    found: dict[str, str] = {}
    for cookie in b";".join(cookies).decode("latin-1").split(";"):
        name, _, value = cookie.strip().partition("=")
        if name in COOKIES:
            found.setdefault(name, value.strip('"'))  # the first is of the longest path
    return found
