"""CVAT's auto-annotation by the segsort service, and annotations of CVAT that teach the service."""
