"""Metrics of jobs of images: what this process has segmented, and the files of all jobs."""

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from service.batching.segment_jobs import SegmentJobs


class JobMetrics(Collector):
    """Images of jobs by how they ended, jobs under way, bytes of their files, and results that were deleted.

    Args:
        jobs: the jobs of images.
    """

    def __init__(self, jobs: SegmentJobs) -> None:
        self._jobs = jobs

    def collect(self) -> Iterator[GaugeMetricFamily | CounterMetricFamily]:
        """Read the counts. The database is not read."""
        workers = self._jobs.workers
        images = CounterMetricFamily(
            "segsort_job_images", "Images of jobs by how they ended in this process", labels=["outcome"]
        )
        for outcome, count in workers.ended.items():
            images.add_metric([outcome], count)
        yield images
        yield GaugeMetricFamily(
            "segsort_image_jobs", "Jobs of images that this process works on", len(workers.working_on)
        )
        yield GaugeMetricFamily("segsort_job_files_bytes", "Size of the files of jobs of images", self._jobs.used)
        yield CounterMetricFamily(
            "segsort_job_results_deleted", "Results of jobs that limits of age and size deleted", self._jobs.removed
        )
