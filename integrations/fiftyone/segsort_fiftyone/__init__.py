"""FiftyOne and segsort: predictions as labels of samples, and corrected labels that teach."""

from segsort_fiftyone.labels import corrections, detections_of, mask_targets, segmentation_of
from segsort_fiftyone.samples import segment_samples, teach

__all__ = ["corrections", "detections_of", "mask_targets", "segment_samples", "segmentation_of", "teach"]
