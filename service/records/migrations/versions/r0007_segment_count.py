"""Answers: the number of their segments, so that lists need not read the segments."""

import sqlalchemy as sa
from alembic import op

from service.records.migrations.refusal import refuse_downgrade

revision = "0007"
down_revision = "0006"

_COUNTS = {
    "sqlite": "json_array_length(CAST(segments AS TEXT))",
    "postgresql": "json_array_length(convert_from(segments, 'UTF8')::json)",
}


def upgrade() -> None:
    """Add the column, and count the segments of earlier answers."""
    op.add_column("segmentations", sa.Column("segment_count", sa.Integer(), nullable=False, server_default="0"))
    op.execute(f"UPDATE segmentations SET segment_count = {_COUNTS[op.get_bind().dialect.name]}")


def downgrade() -> None:
    """Refuse: a downgrade would lose the counts."""
    refuse_downgrade(revision)
