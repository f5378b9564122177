"""A fair queue: who waits for a turn, in an order in which no caller stands before all others.

It is start-time fair queueing (Goyal, Vin and Cheng, 1996): each piece of work gets a start tag, the virtual time at
which it would begin if its flow had its own share of the server. The work with the least tag is next. The virtual time
is the tag of the work that began last. A flow that comes anew therefore waits for one piece of work of each other flow,
however many these have.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")


class Flow(NamedTuple):
    """Work that takes turns with that of other flows.

    name: who sends it, and of which kind it is; weight: its share in comparison to other flows, > 0; urgent: whether
    heavy requests give way to it.
    """

    name: str = ""
    weight: float = 1.0
    urgent: bool = True


@dataclass(eq=False)
class Queued(Generic[T]):
    """A piece of work in the queue. cost: of it; start: its tag."""

    work: T
    flow: Flow
    cost: float
    start: float


class FairQueue(Generic[T]):
    """Work of several flows. Within a flow, the first in is the first out."""

    def __init__(self) -> None:
        self._waiting: list[Queued[T]] = []  # by arrival
        self._virtual = 0.0
        self._finish: dict[str, float] = {}  # of the last work of each flow

    def __len__(self) -> int:
        return len(self._waiting)

    def __iter__(self) -> Iterator[Queued[T]]:
        """All that wait, in the order of their turns. Another thread may read it."""
        return iter(sorted(list(self._waiting), key=lambda one: one.start))

    def start_of(self, flow: Flow) -> float:
        """The tag that the next work of a flow would get."""
        return max(self._virtual, self._finish.get(flow.name, 0.0))

    def add(self, work: T, flow: Flow, cost: float) -> Queued[T]:
        """Put work into the queue."""
        one = Queued(work, flow, cost, self.start_of(flow))
        self._finish[flow.name] = one.start + cost / flow.weight
        self._waiting.append(one)
        return one

    def take(self, one: Queued[T]) -> None:
        """Begin work, which leaves the queue."""
        self._waiting.remove(one)
        self._virtual = max(self._virtual, one.start)
        self._finish = {name: tag for name, tag in self._finish.items() if tag > self._virtual}

    def discard(self, one: Queued[T]) -> None:
        """Remove work that is not wanted any more, if it still waits."""
        if one in self._waiting:
            self._waiting.remove(one)
            later = [other for other in self._waiting if other.flow.name == one.flow.name]
            if not later:
                self._finish[one.flow.name] = one.start  # it was not done

    def costs(self) -> Counter[str]:
        """What each flow has in the queue."""
        found: Counter[str] = Counter()
        for one in self._waiting:
            found[one.flow.name] += one.cost  # type: ignore[assignment]  # a Counter also counts fractions
        return found

    def last_of(self, name: str) -> Queued[T]:
        """The last work of a flow."""
        return next(one for one in reversed(self._waiting) if one.flow.name == name)
