"""How images in the engine share its cores."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from segsort.loops import thread_limit
from service.answering.core_sharing import CoreSharing


def test_who_is_alone_has_every_core_and_several_share_them() -> None:
    cores = CoreSharing(8, 8)
    with cores.joined():
        with cores.share():
            assert thread_limit() == 8
        with cores.joined(), cores.joined(), cores.share():
            assert thread_limit() == 2
        with cores.share():
            assert thread_limit() == 8


def test_each_has_a_thread_however_many_there_are() -> None:
    cores = CoreSharing(2, 4)
    with cores.joined(), cores.joined(), cores.joined(), cores.share():
        assert thread_limit() == 1


def test_the_network_works_for_no_more_than_it_may() -> None:
    cores, together = CoreSharing(4, 2), threading.Barrier(2)

    def one(_: int) -> None:
        with cores.network():
            together.wait(60)  # two at once, always

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(one, range(6)))
    with cores.network(), cores.network(), pytest.raises(TimeoutError), cores.network(0.01):
        pass
    with cores.network(0.01):  # whoever gave up left nothing behind
        pass
