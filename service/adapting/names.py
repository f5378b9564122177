"""Names of new releases: they are valid, and nothing else has or had them."""

from sqlalchemy import select

from model_store.store import open_store
from service.answering.engine import Engine
from service.editing.snapshot import check_new_name
from service.problems import Problem, printable
from service.records.tables import EditRow, SegmentationRow

_FORM = "1 to 100 letters, digits, dots, dashes and underscores, the first a letter or a digit"


def check_free(engine: Engine, name: str) -> None:
    """Check that a new release may have a name.

    Raises:
        Problem: 422 if the name is not valid, or a release has it, or the database has edits or answers of one that had
            it.
    """
    try:
        check_new_name(engine.settings, name)
    except ValueError as error:
        taken = any(stored.name == name for stored in open_store(engine.settings.data_dir).list())
        raise _refused(name, "a name that no release has" if taken else _FORM) from error
    if is_known(engine, name):
        raise _refused(name, "a name without edits and answers in the database")


def is_known(engine: Engine, name: str) -> bool:
    """Whether a release of this name is open, or the database has edits or answers of one, which may be gone."""
    if engine.catalogue.opened(name) is not None:
        return True
    with engine.records.engine.connect() as connection:
        edited = connection.execute(select(EditRow.revision).where(EditRow.release == name).limit(1)).first()
        query = select(SegmentationRow.segmentation_id).where(SegmentationRow.release == name).limit(1)
        return edited is not None or connection.execute(query).first() is not None


def _refused(name: str, allowed: str) -> Problem:
    return Problem(
        422, "The new release cannot have this name.", received=printable(name[:200]), allowed=allowed,
        fix="Give another name.",
    )  # fmt: skip
