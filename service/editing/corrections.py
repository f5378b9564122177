"""Corrections: a segment whose label was wrong becomes an exemplar, strong enough to win its own vote."""

from collections.abc import Sequence

from sqlalchemy import Connection, select

from model_store.exemplar_table import exemplar_id
from model_store.live import AddedExemplar
from service.editing.strength import needed_strength
from service.records.database import Record
from service.records.live_release import LiveRelease
from service.records.tables import ExemplarRow


def corrections_of(connection: Connection, live: LiveRelease, record: Record) -> list[AddedExemplar]:
    """The effective corrections of a segment, the oldest first.

    Corrections of the same pixels in another answer of the same image count too.
    """
    facts = record.segmentation
    query = select(ExemplarRow.exemplar_id).where(
        ExemplarRow.release == live.name, ExemplarRow.image_id == facts.image_id, ExemplarRow.mask == record.counts
    )
    found = []
    for name in connection.execute(query.order_by(ExemplarRow.revision)).scalars():
        row = live.state.row(name)
        added = None if row is None else live.state.added(row)
        if added is None or not live.log.is_alive(name):
            continue
        if live.log.edits[live.log.added_in[name]].kind == "label":
            found.append(added)
    return found


def correction(
    live: LiveRelease, record: Record, class_id: int, ks: set[int], earlier: Sequence[AddedExemplar]
) -> AddedExemplar:
    """Make a segment an exemplar of another class.

    Args:
        live: the release.
        record: the segment.
        class_id: its right class.
        ks: numbers of exemplars that may vote; the exemplar is strong enough for each.
        earlier: corrections of the segment, which this one replaces.

    Raises:
        Problem: 409 if no strength is enough.
    """
    replaced = {live.state.row(e.exemplar_id) for e in earlier}
    strength = needed_strength(live.state, record.prototype, class_id, ks, replaced)
    facts, source = record.segmentation, f"correction of segment {record.segment_id}"
    first_name = live.log.first_name(class_id) if class_id < len(live.log.class_states()) else ""
    name = exemplar_id(record.prototype, f"{first_name}#{class_id}", f"{source}\0{strength:g}", record.counts)
    return AddedExemplar(
        name, record.prototype, class_id, strength, str(facts.image_id), source, facts.width, facts.height,
        record.bbox, record.area, record.counts,
    )  # fmt: skip
