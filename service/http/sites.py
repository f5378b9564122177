"""Which requests a page of another site sends through a browser."""

from starlette.datastructures import Headers

from service.http.origins import Origins, is_own


def from_another_site(headers: Headers, origins: Origins) -> bool:
    """Whether a page of another origin, which is not one of the trusted, sends a request through a browser.

    The browser does not send the cookie then, but a service without keys needs no cookie. Programs outside browsers
    send neither Origin nor Sec-Fetch-Site.
    """
    origin = headers.get("origin")
    if origin in origins.trusted:
        return False
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site not in ("same-origin", "none")
    return origin is not None and not is_own(origin, headers.get("host"))
