"""Tables of addresses that events are sent to."""

from datetime import datetime

from sqlalchemy import BigInteger
from sqlalchemy.orm import Mapped, mapped_column

from service.records.tables.base import Base


class WebhookRow(Base):
    """An address that events are sent to.

    Columns:
        secret: signs the events; "whsec_" and base64.
        events: names of the events that are sent, separated by spaces.
        checksum: over the other columns.
    """

    __tablename__ = "webhooks"

    webhook_id: Mapped[str] = mapped_column(primary_key=True)
    url: Mapped[str]
    secret: Mapped[str]
    events: Mapped[str]
    author: Mapped[str]
    created: Mapped[datetime]
    checksum: Mapped[int | None] = mapped_column(BigInteger)


class WebhookProgressRow(Base):
    """How far the events of a webhook are delivered, and which process sends them now.

    Columns:
        edit: revision of the last edit that was delivered, or is left out.
        job: number of the last ended job that was delivered, or is left out; see `EndedJobRow`.
        stopped: whether nothing is sent until someone resumes it.
        failures: how often the next event was sent in vain.
        failing_since: time of the first of these failures.
        next_try: nothing is sent before.
        problem: why the last try failed, or why it was stopped.
        delivered: when an event was delivered last.
        lease: names the process that sends now; None: no process does.
        lease_until: the lease has no effect after this time.
    """

    __tablename__ = "webhook_progress"

    webhook_id: Mapped[str] = mapped_column(primary_key=True)
    edit: Mapped[int]
    job: Mapped[int]
    stopped: Mapped[bool]
    failures: Mapped[int]
    failing_since: Mapped[datetime | None]
    next_try: Mapped[datetime | None]
    problem: Mapped[str | None]
    delivered: Mapped[datetime | None]
    lease: Mapped[str | None]
    lease_until: Mapped[datetime | None]
