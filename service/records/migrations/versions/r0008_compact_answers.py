"""Answers: content in parts of few bytes, and the order in which answers and images were recorded.

Answers of earlier versions keep their content where it is: `segsort database compact` rewrites it.
"""

import sqlalchemy as sa
from alembic import op

from service.records.migrations.refusal import refuse_downgrade

revision = "0008"
down_revision = "0007"

_ORDERED = """
    WITH ordered AS (SELECT {key} AS id, row_number() OVER (ORDER BY created, {key}) AS place FROM {table})
    UPDATE {table} SET sequence = ordered.place FROM ordered WHERE {table}.{key} = ordered.id
"""
_MEASURED = """
    UPDATE segmentations SET size = length(segments) + length(prototypes)
    + length(exemplar_ids) + length(neighbours) + length(similarities)
"""


def upgrade() -> None:
    """Add the table and the columns, and give answers and images their order: that of their times."""
    dialect = op.get_bind().dialect.name
    op.create_table(
        "answer_parts",
        sa.Column("part_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sqlite_autoincrement=True,
    )
    _add_columns()
    for table, key in (("segmentations", "segmentation_id"), ("images", "image_id")):
        op.execute(_ORDERED.format(table=table, key=key))
        if dialect == "postgresql":
            op.execute(f"CREATE SEQUENCE {table}_sequence")
            op.execute(f"SELECT setval('{table}_sequence', (SELECT count(*) + 1 FROM {table}), false)")
    op.execute(_MEASURED)
    _change_indexes()


def downgrade() -> None:
    """Refuse: a downgrade would lose the answers."""
    refuse_downgrade(revision)


def _add_columns() -> None:
    for name, kind, default in (
        ("sequence", sa.BigInteger(), "0"),
        ("pinned", sa.Boolean(), sa.false()),
        ("size", sa.Integer(), "0"),
    ):
        op.add_column("segmentations", sa.Column(name, kind, nullable=False, server_default=default))
    for name in ("shapes_part", "votes_part"):
        op.add_column("segmentations", sa.Column(name, sa.BigInteger(), nullable=True))
    op.add_column("images", sa.Column("sequence", sa.BigInteger(), nullable=False, server_default="0"))


def _change_indexes() -> None:
    for name in ("segmentations_by_age", "segmentations_by_image", "segmentations_by_author"):
        op.drop_index(name, "segmentations")
    op.create_index("segmentations_by_sequence", "segmentations", ["sequence", "pinned", "size", "created"])
    op.create_index("segmentations_by_image", "segmentations", ["image_id", "sequence", "pinned"])
    op.create_index("segmentations_by_author", "segmentations", ["author", "sequence"])
    op.create_index("segmentations_by_shapes", "segmentations", ["shapes_part"])
    op.drop_index("images_by_age", "images")
    op.create_index("images_by_sequence", "images", ["sequence", "size", "image_id"])
