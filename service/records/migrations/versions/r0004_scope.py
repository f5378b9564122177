"""Exemplars: whether they vote for segments of every image, or only for those of their own."""

import sqlalchemy as sa
from alembic import op

from service.records.migrations.refusal import refuse_downgrade

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the column; earlier exemplars vote for segments of every image."""
    op.add_column("exemplars", sa.Column("scope", sa.String(), nullable=False, server_default="all"))


def downgrade() -> None:
    """Refuse: exemplars of one image would vote for segments of every image."""
    refuse_downgrade(revision)
