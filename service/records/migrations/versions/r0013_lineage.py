"""Answers: the first answer of those that updates made of one another, so that a pin holds all of them."""

import sqlalchemy as sa
from alembic import op

from service.records.migrations.refusal import refuse_downgrade

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Add the column. Which earlier answers belong together was not recorded."""
    op.add_column("segmentations", sa.Column("lineage", sa.String(), nullable=True))


def downgrade() -> None:
    """Refuse: a downgrade would lose which answers belong together."""
    refuse_downgrade(revision)
