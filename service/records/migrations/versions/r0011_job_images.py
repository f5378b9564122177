"""The images of jobs that segment many images."""

import sqlalchemy as sa
from alembic import op

from service.records.migrations.refusal import refuse_downgrade

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "job_images",
        sa.Column("job_id", sa.String(), primary_key=True),
        sa.Column("position", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("segmentation_id", sa.String(), nullable=True),
        sa.Column("problem", sa.LargeBinary(), nullable=True),
        sa.Column("pixels", sa.BigInteger(), nullable=False),
    )


def downgrade() -> None:
    """Refuse: a downgrade would lose the state of jobs."""
    refuse_downgrade(revision)
