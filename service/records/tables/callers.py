"""Tables of those who ask: browsers that signed in, and what keys have used."""

from datetime import datetime

from sqlalchemy import BigInteger, Index
from sqlalchemy.orm import Mapped, mapped_column

from service.records.tables.base import Base


class SessionRow(Base):
    """A browser that signed in.

    Columns:
        token_hash: SHA-256 of the token in its cookie, hexadecimal. The token itself is not stored.
        name: of the key that signed in.
        key_digest: SHA-256 of that key, hexadecimal. Where the key of this name has another one, the session has ended.
        last_used: to about a minute.
    """

    __tablename__ = "sessions"
    __table_args__ = (Index("sessions_by_name", "name", "last_used"), Index("sessions_by_use", "last_used"))

    token_hash: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    key_digest: Mapped[str]
    created: Mapped[datetime]
    last_used: Mapped[datetime]


class UsageRow(Base):
    """What the key of a name has used on a day (UTC, such as 2026-05-04), where its quota of a day is limited."""

    __tablename__ = "usage"

    day: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    images: Mapped[int] = mapped_column(BigInteger)
    pixels: Mapped[int] = mapped_column(BigInteger)
