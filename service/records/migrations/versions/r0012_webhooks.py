"""Webhooks: where events are sent, how far they are delivered, and the order in which jobs ended."""

import sqlalchemy as sa
from alembic import op

from service.records.migrations.refusal import refuse_downgrade

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Create the tables."""
    op.create_index("jobs_by_end", "jobs", ["ended"])
    op.create_table(
        "ended_jobs",
        sa.Column("number", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("job_id", sa.String(), nullable=False),
    )
    op.create_index("ended_jobs_by_job", "ended_jobs", ["job_id"], unique=True)
    op.create_table(
        "webhooks",
        sa.Column("webhook_id", sa.String(), primary_key=True),
        *(sa.Column(name, sa.String(), nullable=False) for name in ("url", "secret", "events", "author")),
        sa.Column("created", sa.DateTime(), nullable=False),
        sa.Column("checksum", sa.BigInteger(), nullable=True),
    )
    op.create_table(
        "webhook_progress",
        sa.Column("webhook_id", sa.String(), primary_key=True),
        sa.Column("edit", sa.Integer(), nullable=False),
        sa.Column("job", sa.Integer(), nullable=False),
        sa.Column("stopped", sa.Boolean(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("failing_since", sa.DateTime(), nullable=True),
        sa.Column("next_try", sa.DateTime(), nullable=True),
        sa.Column("problem", sa.String(), nullable=True),
        sa.Column("delivered", sa.DateTime(), nullable=True),
        sa.Column("lease", sa.String(), nullable=True),
        sa.Column("lease_until", sa.DateTime(), nullable=True),
    )


def downgrade() -> None:
    """Refuse: a downgrade would forget the webhooks and what is not delivered yet."""
    refuse_downgrade(revision)
