"""The first versioned schema: answers, images, revisions, edits and exemplars.

Databases that versions before this one wrote have no schema version. They get here too: what exists is kept, what is
missing is created, and answers of the oldest schema are rewritten.
"""

import sqlalchemy as sa
from alembic import op

from service.records.migrations.refusal import refuse_downgrade
from service.records.migrations.unversioned import add_answer_columns, copy_old_answers, set_old_answers_aside

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create or complete the tables."""
    add_answer_columns(op)
    aside = set_old_answers_aside(op)
    _create_answers()
    _create_images()
    _create_edits()
    _create_exemplars()
    if aside:
        copy_old_answers(op)


def downgrade() -> None:
    """Refuse: there is no schema before this one."""
    refuse_downgrade(revision)


def _create_answers() -> None:
    op.create_table(
        "segmentations",
        sa.Column("segmentation_id", sa.String(), primary_key=True),
        sa.Column("created", sa.DateTime(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("release", sa.String(), nullable=False),
        sa.Column("release_path", sa.String(), nullable=False),
        sa.Column("index_revision", sa.Integer(), nullable=False),
        sa.Column("k", sa.Integer(), nullable=False),
        sa.Column("kappa", sa.Double(), nullable=False),
        sa.Column("image_similarity", sa.Double(), nullable=False),
        sa.Column("segments", sa.LargeBinary(), nullable=False),
        sa.Column("prototypes", sa.LargeBinary(), nullable=False),
        sa.Column("exemplar_ids", sa.String(), nullable=False),
        sa.Column("neighbours", sa.LargeBinary(), nullable=False),
        sa.Column("similarities", sa.LargeBinary(), nullable=False),
        sa.Column("image_id", sa.String(), nullable=True),
        sa.Column("author", sa.String(), nullable=True),
        if_not_exists=True,
    )
    op.create_index("segmentations_by_age", "segmentations", ["created"], if_not_exists=True)


def _create_images() -> None:
    op.create_table(
        "images",
        sa.Column("image_id", sa.String(), primary_key=True),
        sa.Column("media_type", sa.String(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("created", sa.DateTime(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        if_not_exists=True,
    )
    op.create_index("images_by_age", "images", ["created", "size", "image_id"], if_not_exists=True)


def _create_edits() -> None:
    op.create_table(
        "revisions",
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("number", sa.Integer(), nullable=False),
        if_not_exists=True,
    )
    op.execute("INSERT INTO revisions (id, number) SELECT 1, 0 WHERE NOT EXISTS (SELECT id FROM revisions)")
    op.create_table(
        "edits",
        sa.Column("revision", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("release", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.Column("author", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("created", sa.DateTime(), nullable=False),
        if_not_exists=True,
    )


def _create_exemplars() -> None:
    op.create_table(
        "exemplars",
        sa.Column("release", sa.String(), primary_key=True),
        sa.Column("exemplar_id", sa.String(), primary_key=True),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("prototype", sa.LargeBinary(), nullable=False),
        sa.Column("class_id", sa.Integer(), nullable=False),
        sa.Column("strength", sa.Double(), nullable=False),
        sa.Column("image_id", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("bbox", sa.LargeBinary(), nullable=False),
        sa.Column("area", sa.Integer(), nullable=False),
        sa.Column("mask", sa.String(), nullable=False),
        if_not_exists=True,
    )
    op.create_index("exemplars_by_revision", "exemplars", ["revision"], if_not_exists=True)
    op.create_index("exemplars_by_image", "exemplars", ["image_id"], if_not_exists=True)
