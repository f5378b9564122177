"""Corrections: a segment whose label was wrong becomes an exemplar, strong enough to win its own vote."""

from collections.abc import Sequence

from model_store.exemplar_table import exemplar_id
from model_store.live import AddedExemplar, Scope
from service.editing.strength import needed_strength
from service.records.database import Record
from service.records.live_release import LiveRelease


def corrections_of(live: LiveRelease, record: Record) -> list[AddedExemplar]:
    """The effective corrections of a segment, the oldest first.

    Corrections of the same pixels in another answer of the same image count too.
    """
    image_id = record.segmentation.image_id
    present = [] if image_id is None else live.state.added_to_image(image_id)
    edits, added_in = live.log.edits, live.log.added_in
    return [
        one
        for one in present
        if one.mask == record.counts and edits[added_in[one.exemplar_id]].kind in ("label", "mark")
    ]


def correction(
    live: LiveRelease,
    record: Record,
    class_id: int,
    ks: set[int],
    earlier: Sequence[AddedExemplar],
    scope: Scope = "all",
) -> AddedExemplar:
    """Make a segment an exemplar of another class.

    Args:
        live: the release.
        record: the segment.
        class_id: its right class.
        ks: numbers of exemplars that may vote; the exemplar is strong enough for each.
        earlier: corrections of the segment, which this one replaces.
        scope: which segments it votes for.

    Raises:
        Problem: 409 if no strength is enough.
    """
    replaced = {live.state.row(e.exemplar_id) for e in earlier}
    state = live.state.for_image(record.segmentation.image_id)
    strength = needed_strength(state, record.prototype, class_id, ks, replaced)
    facts, source = record.segmentation, f"correction of segment {record.segment_id}"
    first_name = live.log.first_name(class_id) if class_id < len(live.log.class_states()) else ""
    content = f"{source}\0{strength:g}" if scope == "all" else f"{source}\0{strength:g}\0this image"
    name = exemplar_id(record.prototype, f"{first_name}#{class_id}", content, record.counts)
    return AddedExemplar(
        name, record.prototype, class_id, strength, str(facts.image_id), source, facts.width, facts.height,
        record.bbox, record.area, record.counts, scope,
    )  # fmt: skip
