"""Metrics of what the database holds, as they were measured last: a scrape does not read the database."""

from collections.abc import Iterator
from datetime import UTC

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from service.records.database import Records
from service.records.figures import Figures


class StorageMetrics(Collector):
    """Answers, images, bytes, and the space that is left.

    Args:
        records: the database.
    """

    def __init__(self, records: Records) -> None:
        self._records = records

    def collect(self) -> Iterator[GaugeMetricFamily | CounterMetricFamily]:
        """Read the last figures."""
        figures, room = self._records.room.figures, self._records.room
        answers = GaugeMetricFamily("segsort_answers", "Recorded answers", labels=["pinned"])
        answers.add_metric(["true"], figures.pinned)
        answers.add_metric(["false"], figures.answers - figures.pinned)
        yield answers
        yield GaugeMetricFamily("segsort_images", "Stored image files", figures.images)
        sizes = GaugeMetricFamily("segsort_database_bytes", "Space in the database, by content", labels=["content"])
        others = max(0, figures.used - figures.answer_bytes - figures.image_bytes)
        contents = {"answers": figures.answer_bytes, "images": figures.image_bytes, "other": others}
        for content, size in (contents | {"unused": figures.unused}).items():
            sizes.add_metric([content], size)
        yield sizes
        if self._records.images.objects is not None:
            yield from self._of_store(figures)
        if room.left is not None:
            yield GaugeMetricFamily("segsort_database_left_bytes", "Space that answers may still take", room.left)
        if figures.oldest is not None:
            oldest = figures.oldest.replace(tzinfo=UTC).timestamp()
            yield GaugeMetricFamily(
                "segsort_oldest_answer_timestamp_seconds", "When the oldest answer was made", oldest
            )
        pruned, refused = self._records.pruner.pruned, room.refused
        yield CounterMetricFamily("segsort_pruned_answers", "Answers that retention deleted in this process", pruned)
        yield CounterMetricFamily("segsort_full", "Answers and edits refused because there was no room", refused)

    def _of_store(self, figures: Figures) -> Iterator[GaugeMetricFamily | CounterMetricFamily]:
        objects = self._records.images.objects
        if objects is None:
            return
        sizes = GaugeMetricFamily("segsort_image_store_bytes", "Space in the image store, by use", labels=["content"])
        sizes.add_metric(["images"], figures.object_bytes)
        sizes.add_metric(["unused"], figures.unused_object_bytes)
        yield sizes
        waiting = figures.unused_objects
        yield GaugeMetricFamily("segsort_image_store_unused_files", "Files that wait for their deletion", waiting)
        about = "Files that this process deleted from the image store"
        yield CounterMetricFamily("segsort_image_store_deleted_files", about, objects.deleted)
        about = "1 if the image store answered the last call of this process"
        yield GaugeMetricFamily("segsort_image_store_up", about, float(objects.store.is_available))
