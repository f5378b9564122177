"""Work on untrusted files in processes that can be killed, with limits on time and memory."""

from model_store.workers.limits import WorkLimits
from model_store.workers.pool import WorkerPool
from model_store.workers.stopping import Stop, present_stop, stopping_with
from model_store.workers.worker import Answer, Ended, Worker

__all__ = ["Answer", "Ended", "Stop", "WorkLimits", "Worker", "WorkerPool", "present_stop", "stopping_with"]
