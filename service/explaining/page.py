"""An explanation as a page that can be read and printed: no script, nothing from elsewhere."""

import html
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

_STYLE = (Path(__file__).parent.parent / "templates" / "explanation.css").read_text(encoding="utf-8")
Told = Mapping[str, Any]


def explanation_page(told: Told) -> str:
    """The JSON of GET /explain/{segment_id} as HTML."""
    sections = (_summary, _corrections, _vote, _exemplars, _why_not, _flip, _boundary, _similar, _by_hand)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Why {_text(told['class_name'])}?</title><style>{_STYLE}</style></head><body><main>"
        f"{''.join(section(told) for section in sections)}</main></body></html>"
    )


def _text(value: object) -> str:
    return html.escape(str(value), quote=True)


def _percent(share: float) -> str:
    """Without claiming certainty where there is a rest."""
    return f"{share:.1%}" if share < 0.9995 or share == 1 else "&gt; 99.9%"


def _section(title: str, *parts: str) -> str:
    return f"<section><h2>{title}</h2>{''.join(parts)}</section>"


def _summary(told: Told) -> str:
    height, width = told["mask"]["size"]
    picture = ""
    if told["image_url"]:
        picture = (
            f'<a href="{_text(told["image_url"])}"><img class="own" src="{_text(told["crop_url"])}" '
            f'alt="the segment, outlined in its picture"></a>'
        )
    known = "" if told["known"] else '<p class="notice">Too unlike the exemplars: reported as unknown.</p>'
    second = told["runner_up"]
    ahead = (
        f"{_percent(told['margin'])} ahead of {_text(second['class_name'])}" if second else "no other class has a say"
    )
    return (
        f'<header>{picture}<div><p class="kicker">Why this label?</p>'
        f"<h1>{_swatch(told)}{_text(told['class_name'])}</h1>"
        f'<p class="lead">{told["confidence"]:.0%} confident, {ahead}.</p>{known}'
        f'<p class="fine">{told["area"]} pixels, {_percent(told["area"] / (width * height))} of a picture of '
        f"{width} &times; {height}.</p></div></header>"
    )


def _swatch(told: Told) -> str:
    colors = {entry["class_id"]: entry["color"] for entry in told["vote"]["classes"]}
    return f'<i class="swatch" style="background:{_text(colors[told["class_id"]])}"></i>'


def _corrections(told: Told) -> str:
    lines = [
        f"<li>Corrected to <b>{_text(one['class_name'])}</b> by {_text(one['author'])}, edit {one['revision']}.</li>"
        for one in told["corrections"]
    ]
    return _section("Since then", f"<ul>{''.join(lines)}</ul>") if lines else ""


def _vote(told: Told) -> str:
    rows = "".join(
        f'<tr><th scope="row">{_text(entry["class_name"])}</th><td class="bar"><i style="width:{entry["weight"]:.2%};'
        f'background:{_text(entry["color"])}"></i></td><td class="number">{_percent(entry["weight"])}</td></tr>'
        for entry in told["vote"]["classes"]
    )
    strong = " &middot; strength" if any(e["strength"] != 1 for e in told["exemplars"]) else ""
    about = (
        f"The {told['vote']['k']} nearest exemplars, each weighing exp({told['vote']['kappa']:g} &middot; similarity)"
        f"{strong}, normalised. Nothing else decides."
    )
    return _section("The vote", f'<p>{about}</p><table class="votes">{rows}</table>')


def _exemplars(told: Told) -> str:
    flips = set(told["flip_set"] or ())
    cards = (
        _card(entry, "without it and its like the label changes" * (entry["exemplar_id"] in flips))
        for entry in told["exemplars"]
    )
    gone = sum(entry["removed_in"] is not None for entry in told["exemplars"])
    many = "One of these has" if gone == 1 else f"{gone} of these have"
    note = f'<p class="notice">{many} been removed since, and voted then.</p>' if gone else ""
    return _section("The exemplars that voted", note, _cards(cards))


def _why_not(told: Told) -> str:
    second = told["runner_up"]
    if second is None:
        return _section("Why no other class?", "<p>All exemplars that voted are of this class.</p>")
    about = (
        f"{_text(second['class_name'])} has {_percent(second['weight'])} of the vote. Its nearest exemplars, "
        "whether or not they voted:"
    )
    cards = _cards(_card(entry) for entry in second["exemplars"])
    return _section(f"Why not {_text(second['class_name'])}?", f"<p>{about}</p>", cards)


def _flip(told: Told) -> str:
    flips = told["flip_set"]
    if flips is None:
        about = f"Taking away {len(told['reserve'])} of its nearest exemplars, the next moving up, would not."
    else:
        many = "this exemplar" if len(flips) == 1 else f"these {len(flips)} exemplars"
        ids = ", ".join(f"<code>{_text(one)}</code>" for one in flips)
        about = f"Taking away {many} would, and nothing smaller: {ids}."
    return _section("What would change the label?", f"<p>{about}</p>")


def _boundary(told: Told) -> str:
    found = told["boundary"]
    about = f"{_percent(found['share'])} of its pixels lie within {found['distance_px']} pixels of another segment."
    rows = "".join(
        f'<tr><th scope="row"><a href="/explain/{_text(one["segment_id"])}">{_text(one["class_name"])}</a></th>'
        f'<td class="number">{_percent(one["share"])}</td></tr>'
        for one in found["neighbours"][:8]
    )
    return _section("Its boundary", f"<p>{about}</p>", f"<table>{rows}</table>" if rows else "")


def _similar(told: Told) -> str:
    cards = [
        f"<figure>{_picture(one['crop_url'], one['image_url'], one['class_name'])}<figcaption>"
        f'<a href="/explain/{_text(one["segment_id"])}">{_text(one["class_name"])}</a>'
        f"<span>similarity {one['similarity']:.3f}</span></figcaption></figure>"
        for one in told["similar"]
    ]
    return _section("Similar segments of other pictures", _cards(cards)) if cards else ""


def _picture(crop_url: str, image_url: str | None, name: str) -> str:
    if image_url is None:
        return '<span class="missing">picture not kept</span>'
    return f'<a href="{_text(image_url)}"><img src="{_text(crop_url)}" alt="{_text(name)}" loading="lazy"></a>'


def _by_hand(told: Told) -> str:
    knots = told["calibration"]
    facts = {
        "share of the vote": f"{told['share']:.4f}",
        "confidence": f"{told['confidence']:.4f}, the share calibrated on {_text(knots['how'])}",
        "familiarity": f"{told['familiarity']:.4f}, the mean of the first similarity and the picture's "
        f"({told['image_similarity']:.4f}); known from {knots['known_threshold']:.4f} on",
        "release": f"{_text(told['release'])}, index revision {told['index_revision']}",
        "segment": f"<code>{_text(told['segment_id'])}</code>",
    }
    rows = "".join(f'<tr><th scope="row">{name}</th><td>{value}</td></tr>' for name, value in facts.items())
    return _section("For the record", f'<table class="facts">{rows}</table>')


def _cards(cards: Iterable[str]) -> str:
    return f'<div class="cards">{"".join(cards)}</div>'


def _card(entry: Told, mark: str = "") -> str:
    removed = f"<em>removed in edit {entry['removed_in']}</em>" if entry["removed_in"] is not None else ""
    added = f"<span>added in edit {entry['added_in']} by {_text(entry['author'])}</span>" if entry["added_in"] else ""
    weight = f"<span>weight {_percent(entry['weight'])}</span>" if "weight" in entry else ""
    strength = f"<span>strength {entry['strength']:g}</span>" if entry["strength"] != 1 else ""
    flips = f'<span class="flips">{mark}</span>' if mark else ""
    return (
        f"<figure{' class=gone' if removed else ''}>"
        f"{_picture(entry['crop_url'], entry['image_url'], entry['class_name'] + ' exemplar')}"
        f"<figcaption><b>{_text(entry['class_name'])}</b><span>similarity {entry['similarity']:.4f}</span>{weight}"
        f'{strength}{removed}{added}{flips}<span class="source">{_text(entry["source"])}</span>'
        f"<code>{_text(entry['exemplar_id'])}</code></figcaption></figure>"
    )
