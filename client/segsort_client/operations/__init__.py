"""The operations of the service, each written once for both clients."""

from segsort_client.operations.batching import Batching
from segsort_client.operations.editing import Editing
from segsort_client.operations.exemplars import Exemplars
from segsort_client.operations.exporting import Exporting
from segsort_client.operations.releases import Releases
from segsort_client.operations.segmenting import Segmenting
from segsort_client.operations.webhooks import Webhooks


class Operations(Segmenting, Batching, Editing, Exemplars, Exporting, Releases, Webhooks):
    """All operations."""
