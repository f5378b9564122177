"""Readiness: whether a load balancer should send requests to this service, and if not, why."""

from sqlalchemy.exc import SQLAlchemyError

from service.answering.admission import Admission
from service.answering.engine import Engine


class Readiness:
    """Checks the parts that can fail. Each check is made anew, so a fault that has ended is not reported.

    Attributes:
        draining: whether the service is shutting down.
        in_flight: number of requests without a complete answer.
    """

    def __init__(self, engine: Engine, admission: Admission) -> None:
        self._engine, self._admission = engine, admission
        self.draining = False
        self.in_flight = 0

    def reasons(self) -> list[str]:
        """Why the service is not ready; empty if it is ready.

        After a failed answer this runs a probe image, which takes seconds where the engine is slow.
        """
        reasons = ["the service is shutting down"] if self.draining else []
        reasons += self._database()
        if self._engine.follower.trouble is not None:
            reasons.append(f"the log of edits cannot be read: {self._engine.follower.trouble}")
        longest = self._admission.longest()
        if longest > self._admission.deadline:
            reasons.append(f"an image has been in the engine for {longest:.0f} s")
        elif self._engine.health.failure is not None:
            reasons += [f"an answer failed, and a probe fails too: {reason}" for reason in self._engine.health.probe()]
        return reasons

    def _database(self) -> list[str]:
        """Why the database cannot be used; empty if it can. After a failed write this tries to write again."""
        records = self._engine.records
        try:
            records.ping()
            if records.trouble is not None:
                records.try_to_write()
        except SQLAlchemyError as error:
            reason = str(getattr(error, "orig", error))[:200]
            return [f"the database does not answer or cannot be written: {reason}"]
        return []
