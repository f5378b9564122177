"""Answers: what was done to the values of the image when it was decoded."""

import sqlalchemy as sa
from alembic import op

from service.records.migrations.refusal import refuse_downgrade

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the column; earlier answers have none."""
    op.add_column("segmentations", sa.Column("conversion", sa.String(), nullable=True))


def downgrade() -> None:
    """Refuse: a downgrade would lose the conversions."""
    refuse_downgrade(revision)
