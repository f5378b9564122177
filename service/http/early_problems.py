"""Problems of requests that never reach the app, because their head or their connection is refused."""

from service.problems import Problem

MAX_HEAD = 65_536  # bytes of the request line and all headers
MAX_HEADERS = 200


def head_too_large() -> Problem:
    """431: more than a head may have."""
    return Problem(
        431, "The head of the request is too large.", received=f"more than {MAX_HEAD} bytes or {MAX_HEADERS} headers",
        allowed=f"at most {MAX_HEAD} bytes of request line and headers, and {MAX_HEADERS} headers",
        fix="Send fewer or shorter headers. Cookies of other services on this host may be the cause: delete them.",
    )  # fmt: skip


def head_too_late(seconds: float) -> Problem:
    """408: the head is not complete in time. seconds: that it may take."""
    return Problem(
        408, "The head of the request did not arrive in time.", received="an incomplete head",
        allowed=f"all headers within {seconds:g} s of the first byte",
        fix="Send the request again, over a faster connection, or ask the operator to raise SEGSORT_HEADER_TIMEOUT_S.",
    )  # fmt: skip


def malformed() -> Problem:
    """400: what arrived is not HTTP/1.1."""
    return Problem(
        400, "This is not a valid request of HTTP/1.1.", allowed="HTTP/1.1 or HTTP/1.0 without TLS",
        fix="Use http:// in place of https://, or the address of the proxy that has the certificate. Otherwise correct "
        "the request line, the headers or the framing of the body.",
    )  # fmt: skip


def no_upgrade() -> Problem:
    """400: a body that another protocol would follow."""
    return Problem(
        400, "A request with a body may not ask for another protocol.", received="a header Upgrade", allowed="HTTP/1.1",
        fix="Send the request without the header Upgrade.",
    )  # fmt: skip


def too_many_connections() -> Problem:
    """503: past the cap of connections."""
    return Problem(
        503, "Too many connections are open.", allowed="requests to /livez, /readyz and /metrics",
        fix="Send the request again in a moment. The operator can raise SEGSORT_MAX_CONNECTIONS.",
        headers={"Retry-After": "1"},
    )  # fmt: skip
