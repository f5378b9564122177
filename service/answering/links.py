"""URLs in answers: absolute paths, which begin with the root path of the request."""

from contextvars import ContextVar

root_path: ContextVar[str] = ContextVar("root_path", default="")  # of the current request; "" or as "/sub"


def image_url(segmentation_id: str) -> str:
    """The URL of an answer's image."""
    return f"{root_path.get()}/segmentations/{segmentation_id}/image"


def segment_crop_url(segment_id: str) -> str:
    """The URL of a segment, drawn in its image."""
    return f"{root_path.get()}/segments/{segment_id}/crop"


def label_url(segment_id: str) -> str:
    """The URL that corrects a segment's label."""
    return f"{root_path.get()}/segments/{segment_id}/label"


def exemplar_image_url(exemplar_id: str) -> str:
    """The URL of an exemplar's image."""
    return f"{root_path.get()}/exemplars/{exemplar_id}/image"


def exemplar_crop_url(exemplar_id: str) -> str:
    """The URL of an exemplar, drawn in its image."""
    return f"{root_path.get()}/exemplars/{exemplar_id}/crop"


def job_url(job_id: str) -> str:
    """The URL of a job."""
    return f"{root_path.get()}/jobs/{job_id}"
