"""Readiness: whether the service should be sent requests, and if not, why."""

from sqlalchemy.exc import SQLAlchemyError

from service.answering.admission import Admission
from service.answering.engine import Engine


class Readiness:
    """Looks where something may have failed, and tries again there rather than remembering for ever.

    Attributes:
        draining: whether the service is about to end.
        in_flight: requests that are being answered.
    """

    def __init__(self, engine: Engine, admission: Admission) -> None:
        self._engine, self._admission = engine, admission
        self.draining = False
        self.in_flight = 0

    def reasons(self) -> list[str]:
        """Why no request should be sent; empty where all is well. It may take seconds if something is not."""
        told = ["the service is about to end"] if self.draining else []
        told += self._database()
        if self._engine.follower.trouble is not None:
            told.append(f"the log of edits is not followed: {self._engine.follower.trouble}")
        longest = self._admission.longest()
        if longest > self._admission.deadline:
            told.append(f"an image has been in the engine for {longest:.0f} s")
        elif self._engine.health.failure is not None:
            told += [f"an answer failed, and so does a probe: {reason}" for reason in self._engine.health.probe()]
        return told

    def _database(self) -> list[str]:
        records = self._engine.records
        try:
            records.ping()
            if records.trouble is not None:
                records.try_to_write()
        except SQLAlchemyError as error:
            return [f"the database does not answer or takes no answers: {str(getattr(error, 'orig', error))[:200]}"]
        return []
