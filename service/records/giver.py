"""Which release gave an answer, by its digest, or by the exemplars that an answer without a digest names."""

from sqlalchemy import ColumnElement, and_, or_

from service.problems import Problem
from service.records.answered import Answered
from service.records.live_release import LiveRelease
from service.records.tables import SegmentationRow


def gave(live: LiveRelease, answered: Answered) -> bool:
    """Whether a release gave an answer.

    An answer of a version that recorded no digest must name exemplars, and the release must have all of them: their ids
    are made of their content. Without exemplars it cannot be told, and the answer counts as another release's.
    """
    facts = answered.facts
    if facts.release_digest is not None:
        return facts.release_digest == live.digest
    if facts.release != live.name or facts.votes_part is not None:
        return False
    try:
        ids = answered.neighbours(None).exemplar_ids
    except Problem:  # it was deleted meanwhile
        return False
    return bool(ids) and all(live.state.row(name) is not None for name in ids)


def given_by(live: LiveRelease, row: type[SegmentationRow] = SegmentationRow) -> ColumnElement[bool]:
    """The condition that a release may have given an answer; `gave` decides for answers without a digest."""
    return and_(row.release == live.name, or_(row.release_digest == live.digest, row.release_digest.is_(None)))
