"""A hash chain over the log of edits, and checksums of answers, images and jobs.

Edits of earlier versions get their place in the chain here. Answers and images of earlier versions have no checksum:
to compute them would mean to write the whole database again.
"""

import uuid
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op

from service.records import chain
from service.records.migrations.refusal import refuse_downgrade

revision = "0010"
down_revision = "0009"

_BATCH = 1000


def upgrade() -> None:
    """Add the columns, and compute the chain of the edits that exist."""
    for table in ("segmentations", "answer_parts", "images", "jobs"):
        op.add_column(table, sa.Column("checksum", sa.BigInteger(), nullable=True))
    for name in chain.CHAIN_COLUMNS:
        op.add_column("edits", sa.Column(name, sa.String(), nullable=True))
    for name in ("chain", "seal", "database_id"):
        op.add_column("revisions", sa.Column(name, sa.String(), nullable=True))
    connection = op.get_bind()
    _seal(connection, *_chain_edits(connection))
    with op.batch_alter_table("edits") as edits:
        edits.alter_column("digest", existing_type=sa.String(), nullable=False)
        edits.alter_column("chain", existing_type=sa.String(), nullable=False)
    with op.batch_alter_table("revisions") as revisions:
        for name in ("chain", "seal", "database_id"):
            revisions.alter_column(name, existing_type=sa.String(), nullable=False)


def downgrade() -> None:
    """Refuse: an earlier version would write edits without a chain."""
    refuse_downgrade(revision)


def _chain_edits(connection: sa.Connection) -> tuple[int, str]:
    """Write the hashes of all edits; returns the last revision and the last chain."""
    metadata = sa.MetaData()
    edits = sa.Table("edits", metadata, autoload_with=connection)
    exemplars = sa.Table("exemplars", metadata, autoload_with=connection)
    form, added_form = chain.edit_format(edits.columns.keys()), chain.exemplar_format(exemplars.columns.keys())
    change = edits.update().where(edits.c.revision == sa.bindparam("at"))
    at, last = 0, chain.GENESIS
    while rows := _rows(connection, edits, edits.c.revision > at, edits.c.revision):
        between = (exemplars.c.revision > at) & (exemplars.c.revision <= rows[-1]["revision"])
        by_revision = defaultdict(list)
        for row in connection.execute(exemplars.select().where(between).order_by(exemplars.c.place)).mappings():
            by_revision[row["revision"]].append(row)
        hashes = []
        for row in rows:
            at, added = row["revision"], chain.added_digest(added_form, by_revision[row["revision"]])
            digest = chain.edit_digest(form, row, added)
            last = chain.link(last, at, row["release"], row["kind"], digest)
            hashes.append({"at": at, "added": added, "digest": digest, "chain": last})
        connection.execute(change, hashes)
    return at, last


def _rows(connection: sa.Connection, table: sa.Table, where: Any, order: Any) -> Sequence[sa.RowMapping]:
    return connection.execute(table.select().where(where).order_by(order).limit(_BATCH)).mappings().all()


def _seal(connection: sa.Connection, at: int, last: str) -> None:
    """Write the head of the log. Its number is corrected if it is below that of the last edit."""
    number = max(at, connection.execute(sa.text("SELECT number FROM revisions")).scalar_one())
    database_id = uuid.uuid4().hex
    head = {"number": number, "chain": last, "database_id": database_id}
    connection.execute(
        sa.text("UPDATE revisions SET number = :number, chain = :chain, seal = :seal, database_id = :database_id"),
        head | {"seal": chain.seal(database_id, number, last)},
    )
