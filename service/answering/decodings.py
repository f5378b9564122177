"""Decoding of images in workers: the pool of one service, and the queues before it."""

from model_store.workers import WorkerPool, WorkLimits
from service.answering.admission import Admission
from service.settings import Settings

_MORE = 4  # workers for what does not wait in these queues: crops, renderings and masks


class Decodings:
    """The workers of a service, and who may use them when.

    An image that a worker decodes has no turn in the engine meanwhile, so that images which are slow to decode do not
    keep others waiting.

    Attributes:
        pool: of the workers.
        headers: the queue of images whose header is read.
        images: the queue of images that are decoded. Those in work of one caller and
            route have at most `max_pixels` pixels, or it is one. One place is kept for others.
    """

    def __init__(self, settings: Settings) -> None:
        of_a_flow = min(settings.lanes, max(2, settings.cores))
        at_once = of_a_flow + 1
        limits = WorkLimits(settings.decode_s, settings.decode_mb, settings.max_pixels)
        self.pool = WorkerPool(limits, 2 * at_once + _MORE)
        self.headers, self.images = (
            Admission(
                settings.queue_pixels,
                settings.deadline_s,
                at_once,
                2 * settings.max_pixels,
                of_a_flow=of_a_flow,
                flow_pixels=settings.max_pixels,
            )
            for _ in range(2)
        )
