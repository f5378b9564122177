"""Rows name the content of their release by its digest, because a later release may have the same name."""

import sqlalchemy as sa
from alembic import op

from service.records.migrations.refusal import refuse_downgrade

revision = "0006"
down_revision = "0005"

_COLUMNS = (
    "release, exemplar_id, revision, place, prototype, class_id, strength, image_id, source, width, height, bbox, "
    "area, mask, scope"
)


def upgrade() -> None:
    """Add the columns. In earlier rows the digest is unknown and stays so.

    Exemplars get a key that two releases of one name can share: the edit, and the place in it.
    """
    for table in ("edits", "segmentations", "jobs"):
        op.add_column(table, sa.Column("release_digest", sa.String(), nullable=True))
    op.create_table(
        "edit_fits",
        sa.Column("revision", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("release_digest", sa.String(), primary_key=True),
        sa.Column("fits", sa.Boolean(), nullable=False),
    )
    op.drop_index("exemplars_by_revision", "exemplars", if_exists=True)
    op.drop_index("exemplars_by_image", "exemplars", if_exists=True)
    if op.get_bind().dialect.name == "sqlite":
        _copy_exemplars()
    else:
        op.add_column("exemplars", sa.Column("release_digest", sa.String(), nullable=True))
        op.drop_constraint("exemplars_pkey", "exemplars", type_="primary")
        op.create_primary_key("exemplars_pkey", "exemplars", ["revision", "place"])
    op.create_index("exemplars_by_image", "exemplars", ["image_id"])
    op.create_index("exemplars_by_id", "exemplars", ["exemplar_id"])


def downgrade() -> None:
    """Refuse: edits of different releases of one name would be mixed."""
    refuse_downgrade(revision)


def _copy_exemplars() -> None:
    """SQLite cannot change the key of a table, so the table is written again."""
    op.rename_table("exemplars", "exemplars_aside")
    op.create_table(
        "exemplars",
        sa.Column("release", sa.String(), nullable=False),
        sa.Column("exemplar_id", sa.String(), nullable=False),
        sa.Column("revision", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("place", sa.Integer(), primary_key=True, autoincrement=False),
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
        sa.Column("scope", sa.String(), nullable=False, server_default="all"),
        sa.Column("release_digest", sa.String(), nullable=True),
    )
    op.execute(f"INSERT INTO exemplars ({_COLUMNS}) SELECT {_COLUMNS} FROM exemplars_aside ORDER BY revision, place")
    op.drop_table("exemplars_aside")
