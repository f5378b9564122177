"""The page of the backend: what it did, what waits, and why something failed."""

import time
from collections.abc import Iterable, Mapping
from html import escape

from segsort_label_studio.backend import Backend
from segsort_label_studio.errors import BackendError

_STYLE = """body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; } td, th { text-align: left; padding: .2rem 1rem .2rem 0; vertical-align: top; }
.bad { color: #a40000; } @media (prefers-color-scheme: dark) { body { background: #16181d; color: #e6e6e6; }
a { color: #8ab4f8; } .bad { color: #ff8a80; } }"""


def page(backend: Backend, counts: Mapping[str, int], last_error: str) -> str:
    """The page as HTML."""
    waiting, failed = backend.memory.counts()
    parts = [
        "<h1>segsort for Label Studio</h1>",
        _table([
            ("Model version", _version(backend)),
            ("segsort", escape(backend.explain)),
            ("Label Studio", escape(backend.label_studio.address or "not known yet")),
            ("Projects", escape(", ".join(backend.memory.projects()) or "none yet")),
            *((name.capitalize(), str(count)) for name, count in counts.items()),
            ("Last error", f'<span class="bad">{escape(last_error)}</span>' if last_error else "none"),
        ]),
        f"<h2>Corrections: {waiting} waiting, {failed} failed</h2>",
    ]  # fmt: skip
    if entries := backend.memory.waiting():
        parts.append(_table(
            (f"Annotation {one.annotation}", f"{_time(one.received)}, {one.tries} tries. "
             f'<span class="bad">{escape(one.error or "")}</span>{" Not tried again." if one.failed else ""}')
            for one in entries
        ))  # fmt: skip
        parts.append('<form method="post" action="try-again"><button>Try all again now</button></form>')
    taught = [(f"Task {one.task}, annotation {one.annotation}", escape(one.note)) for one in backend.memory.latest()]
    parts += ["<h2>What annotations taught</h2>", _table(taught) if taught else "<p>Nothing yet.</p>"]
    if classes := [
        (name, share, project) for project, found in backend.unlabelled.items() for name, share in found.items()
    ]:
        parts.append(
            "<h2>Classes without a label</h2><p>They are left out of predictions. Add labels of these names to the "
            'labelling interface, or <code>predicted_values="NAME"</code> to a label.</p>'
        )
        parts.append(_table(
            (f"Project {escape(project)}: {escape(name)}", f"up to {share:.0%} of an image")
            for name, share, project in sorted(classes)
        ))  # fmt: skip
    head = f"<meta charset=utf-8><title>segsort for Label Studio</title><style>{_STYLE}</style>"
    return f"<!doctype html><html lang=en><head>{head}</head><body>{''.join(parts)}</body></html>"


def _version(backend: Backend) -> str:
    try:
        return escape(backend.service.version())
    except BackendError as error:
        return f'<span class="bad">{escape(error.message)}</span>'


def _table(rows: Iterable[tuple[str, str]]) -> str:
    """Rows of a title and HTML."""
    return "<table>" + "".join(f"<tr><th>{title}<td>{content}" for title, content in rows) + "</table>"


def _time(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))
