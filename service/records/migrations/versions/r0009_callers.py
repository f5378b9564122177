"""Callers: sessions of browsers, and what callers have used of the quotas of a day."""

import sqlalchemy as sa
from alembic import op

from service.records.migrations.refusal import refuse_downgrade

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "sessions",
        sa.Column("token_hash", sa.String(), primary_key=True),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("key_digest", sa.String(), nullable=False),
        sa.Column("created", sa.DateTime(), nullable=False),
        sa.Column("last_used", sa.DateTime(), nullable=False),
    )
    op.create_index("sessions_by_name", "sessions", ["name", "last_used"])
    op.create_index("sessions_by_use", "sessions", ["last_used"])
    op.create_table(
        "usage",
        sa.Column("day", sa.String(), primary_key=True),
        sa.Column("name", sa.String(), primary_key=True),
        sa.Column("images", sa.BigInteger(), nullable=False),
        sa.Column("pixels", sa.BigInteger(), nullable=False),
    )


def downgrade() -> None:
    """Refuse: a downgrade would end all sessions."""
    refuse_downgrade(revision)
