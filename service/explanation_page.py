"""An explanation as a page that can be read and printed."""

import html
from typing import Any


def explanation_page(told: dict[str, Any]) -> str:
    """The same as a page that can be read and printed."""
    rows = "".join(
        f"<tr><td><a href='{e['image_url']}'><img src='{e['crop_url']}' alt='{_text(e['class_name'])} exemplar'></a>"
        f"</td><td>{_text(e['class_name'])}</td><td>{e['similarity']:.4f}</td><td>{e['weight']:.4f}</td>"
        f"<td>{_text(e['source'])}</td><td><code>{e['exemplar_id']}</code></td></tr>"
        for e in told["exemplars"]
    )
    shares = "".join(
        f"<tr><td>{_text(c['class_name'])}</td><td>{c['weight']:.4f}</td>"
        f"<td><div class='bar' style='width:{c['weight'] * 20:.2f}rem'></div></td></tr>"
        for c in told["vote"]["classes"]
    )
    runner_up = told["runner_up"]["class_name"] if told["runner_up"] else "no other class"
    flips = told["flip_set"]
    flip = (
        f"Taking away {len(flips)} of these exemplars would change the label."
        if flips is not None
        else f"Taking away {len(told['reserve'])} of the nearest exemplars would not change the label."
    )
    known = "" if told["known"] else " Too unlike the exemplars: the segment is reported as unknown."
    return _PAGE.format(
        title=_text(told["class_name"]),
        summary=f"{told['confidence']:.0%} confident; runner-up {_text(runner_up)}, "
        f"margin {told['margin']:.3f}.{known}",
        k=told["vote"]["k"], kappa=told["vote"]["kappa"], shares=shares, rows=rows, flip=flip,
        segment=told["segment_id"], release=_text(told["release"]), revision=told["index_revision"],
    )  # fmt: skip


def _text(value: str) -> str:
    return html.escape(value, quote=True)


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Why {title}?</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }}
table {{ border-collapse: collapse; margin: 1rem 0; }} td, th {{ padding: .3rem .8rem .3rem 0; text-align: left; }}
img {{ max-height: 6rem; max-width: 12rem; display: block; }} .bar {{ background: #3b7dd8; height: .9rem; }}
code {{ font-size: .85em; }}
</style></head><body>
<h1>Why {title}?</h1><p>{summary}</p>
<h2>The vote</h2><p>The {k} nearest exemplars, each weighing exp({kappa} &middot; similarity), normalised.</p>
<table>{shares}</table>
<h2>The exemplars</h2><p>{flip}</p>
<table><tr><th></th><th>class</th><th>similarity</th><th>weight</th><th>source</th><th>id</th></tr>{rows}</table>
<p>Segment <code>{segment}</code>, release {release}, index revision {revision}.</p>
</body></html>
"""
