"""What a process that serves does to itself: its logs, threads, open files and garbage collection."""

import gc

from segsort.loops import set_thread_limit
from service.http.open_files import raise_file_limit
from service.logs import set_up_logs
from service.settings import Settings

_COLLECT_AFTER = 20_000  # new objects


def prepare_process(settings: Settings) -> None:
    """Set up logs, threads and open files, before the application is made."""
    set_up_logs(settings.log_format)
    set_thread_limit(1)  # outside of answers, which share the cores, more threads cost more than they save
    if settings.device != "cpu":
        import torch

        torch.set_num_threads(1)  # torch does only small operations on the CPU then
    raise_file_limit()


def settle_process() -> None:
    """Let the garbage collector skip what the application consists of, after it is made."""
    gc.collect()
    gc.freeze()  # objects of the start live as long as the process; the collector skips them from here on
    gc.set_threshold(_COLLECT_AFTER, 10, 10)  # an answer makes some thousand objects without cycles; collect less often
