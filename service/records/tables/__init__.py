"""Tables of the database, as the newest migration leaves them. `service.records.migrations` creates them.

Other modules import tables from here, so that `Base.metadata` has all of them.
"""

from service.records.tables.answers import NO_SIMILARITY, AnswerPartRow, ImageObjectRow, ImageRow, SegmentationRow
from service.records.tables.base import Base, iso, next_in_sequence, now
from service.records.tables.callers import SessionRow, UsageRow
from service.records.tables.edits import EditFitRow, EditRow, ExemplarRow, RevisionRow, last_revision
from service.records.tables.jobs import EndedJobRow, JobImageRow, JobRow
from service.records.tables.webhooks import WebhookProgressRow, WebhookRow

__all__ = [
    "NO_SIMILARITY", "AnswerPartRow", "Base", "EditFitRow", "EditRow", "EndedJobRow",
    "ExemplarRow", "ImageObjectRow", "ImageRow", "JobImageRow", "JobRow", "RevisionRow", "SegmentationRow",
    "SessionRow", "UsageRow", "WebhookProgressRow", "WebhookRow", "iso", "last_revision", "next_in_sequence", "now",
]  # fmt: skip
