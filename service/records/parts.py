"""Writing the parts of an answer's content."""

from sqlalchemy import Connection, insert, update

from service.records.answered import Content, SharedShapes
from service.records.checksums import part_checksum
from service.records.tables import AnswerPartRow

_INSERT = insert(AnswerPartRow)
_BOTH = f"INSERT INTO {AnswerPartRow.__tablename__} (content, checksum) VALUES (?, ?), (?, ?)"
_TOUCH = update(AnswerPartRow).values(part_id=AnswerPartRow.part_id)


def written(connection: Connection, content: Content) -> dict[str, int]:
    """Write the parts of an answer; returns the columns of its row that follow from them.

    Shapes of another answer are locked first, so that they are not deleted with it meanwhile. If they are gone, they
    are written again.
    """
    shapes, size = content.shapes, len(content.votes)
    if isinstance(shapes, SharedShapes):
        if connection.execute(_TOUCH.where(AnswerPartRow.part_id == shapes.part_id)).rowcount:
            return {"shapes_part": shapes.part_id, "votes_part": _part(connection, content.votes), "size": size}
        shapes = shapes.packed
    shapes_part, votes_part = _both(connection, shapes, content.votes)
    return {"shapes_part": shapes_part, "votes_part": votes_part, "size": size + len(shapes)}


def _both(connection: Connection, shapes: bytes, votes: bytes) -> tuple[int, int]:
    if connection.dialect.name != "sqlite":
        return _part(connection, shapes), _part(connection, votes)
    # one statement: whoever writes has the database for itself, so the ids follow each other
    values = (shapes, part_checksum(shapes), votes, part_checksum(votes))
    last = int(connection.exec_driver_sql(_BOTH, values).lastrowid)
    return last - 1, last


def _part(connection: Connection, content: bytes) -> int:
    written = connection.execute(_INSERT, {"content": content, "checksum": part_checksum(content)}).inserted_primary_key
    return int(written[0])  # type: ignore[index]  # of an INSERT of one row it is there
