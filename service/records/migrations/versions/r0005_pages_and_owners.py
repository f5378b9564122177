"""Answers: the page of a file that was segmented, and indexes by the image and by the owner."""

import sqlalchemy as sa
from alembic import op

from service.records.migrations.refusal import refuse_downgrade

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the columns and the indexes; earlier answers are of the first page, of an unknown number of pages."""
    op.add_column("segmentations", sa.Column("page", sa.Integer(), nullable=True))
    op.add_column("segmentations", sa.Column("pages", sa.Integer(), nullable=True))
    op.create_index("segmentations_by_image", "segmentations", ["image_id", "created"])
    op.create_index("segmentations_by_author", "segmentations", ["author", "created"])


def downgrade() -> None:
    """Refuse: a downgrade would lose the pages."""
    refuse_downgrade(revision)
