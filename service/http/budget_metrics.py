"""Metrics of the budgets of requests, for Prometheus."""

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from service.http.budgeted import RequestBudgets


class BudgetMetrics(Collector):
    """Metrics of the lanes and bodies of one app, read at each scrape."""

    def __init__(self, budgets: RequestBudgets) -> None:
        self._budgets = budgets

    def collect(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
        """Read how many requests run, wait and were refused, and the bytes of bodies."""
        running = GaugeMetricFamily("segsort_lane_running", "Requests that run", labels=["lane"])
        waiting = GaugeMetricFamily("segsort_lane_waiting", "Requests that wait for their turn", labels=["lane"])
        refused = CounterMetricFamily("segsort_lane_refusals", "Requests refused by a lane", labels=["lane", "reason"])
        for name, lane in self._budgets.lanes.items():
            running.add_metric([name], lane.running)
            waiting.add_metric([name], lane.waiting)
            for reason, count in list(lane.refused.items()):
                refused.add_metric([name, reason], count)
        bodies = self._budgets.bodies
        held = GaugeMetricFamily("segsort_body_bytes", "Bytes of request bodies that are held", labels=["place"])
        held.add_metric(["memory"], bodies.in_memory)
        held.add_metric(["disk"], bodies.on_disk)
        no_room = CounterMetricFamily("segsort_body_refusals", "Bodies refused for lack of room", labels=["reason"])
        for reason, count in list(bodies.refused.items()):
            no_room.add_metric([reason], count)
        postponed = CounterMetricFamily(
            "segsort_heavy_postponed", "Times that a heavy request had to wait for images", labels=["group"]
        )
        for group, yielding in self._budgets.yielding.items():
            postponed.add_metric([group], yielding.postponed)
        yield postponed
        yield from (running, waiting, refused, held, no_room)
