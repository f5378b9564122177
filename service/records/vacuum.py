"""Space of an SQLite file that deleted rows left: given back to the disk in small steps, or at once on request.

A new file has incremental vacuum. A file of earlier versions gets it from `vacuum`. Of a file without it, deleted rows
leave space that the next rows take. PostgreSQL has autovacuum.
"""

import time

from sqlalchemy import Engine

from service.records.connection import INCREMENTAL

_KEPT, _SHARE = 4_000, 10  # pages that stay unused, and at least one in so many: the next rows take them
_PAGES = 256  # of one step
_ROUND = 0.2  # seconds of steps in one round


def give_back(database: Engine) -> int:
    """Give some unused pages of an SQLite file back to the disk, if there are many, and return how many.

    Raises:
        SQLAlchemyError: if the database does not answer.
    """
    if database.dialect.name != "sqlite":
        return 0
    begun, given = time.monotonic(), 0
    with database.connect() as connection:
        while time.monotonic() < begun + _ROUND:
            pages, unused, mode = (
                int(connection.exec_driver_sql(f"PRAGMA {name}").scalar_one())
                for name in ("page_count", "freelist_count", "auto_vacuum")
            )
            spare = min(_PAGES, unused - max(_KEPT, pages // _SHARE))
            if mode != INCREMENTAL or spare <= 0:
                break
            step = time.monotonic()
            cursor = connection.connection.cursor()
            cursor.execute(f"PRAGMA incremental_vacuum({spare})")
            cursor.fetchall()  # each row is a page; SQLAlchemy takes the statement for one without rows
            connection.commit()
            given += spare
            time.sleep(time.monotonic() - step)  # other writers have as much time
    return given


def vacuum(database: Engine) -> None:
    """Write an SQLite file again without unused space, and with incremental vacuum from now on.

    It needs as much free space as the database takes, and locks the database meanwhile.

    Raises:
        SQLAlchemyError: if the database does not answer or the disk is full.
    """
    with database.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if database.dialect.name == "sqlite":
            connection.exec_driver_sql("PRAGMA auto_vacuum=INCREMENTAL")
        connection.exec_driver_sql("VACUUM")
