"""Images: files in an object store, for those whose content is not in the database."""

import sqlalchemy as sa
from alembic import op

from service.records.migrations.refusal import refuse_downgrade

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Create the table. Images that are stored stay in the database."""
    op.create_table(
        "image_objects",
        sa.Column("object_key", sa.String(), primary_key=True),
        sa.Column("image_id", sa.String(), nullable=True),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("unused_since", sa.DateTime(), nullable=True),
        sa.Column("deleting", sa.Boolean(), nullable=False),
    )
    op.create_index("image_objects_by_image", "image_objects", ["image_id"], unique=True)
    op.create_index("image_objects_by_time", "image_objects", ["unused_since"])


def downgrade() -> None:
    """Refuse: a downgrade would lose where images are."""
    refuse_downgrade(revision)
