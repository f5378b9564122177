"""How images in the engine share its cores."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from segsort.loops.threads import allowed
from service.answering.crowd import Crowd


def test_who_is_alone_has_every_core_and_several_share_them() -> None:
    crowd = Crowd(8, 8)
    with crowd.joined():
        with crowd.share():
            assert allowed() == 8
        with crowd.joined(), crowd.joined(), crowd.share():
            assert allowed() == 2
        with crowd.share():
            assert allowed() == 8


def test_each_has_a_thread_however_many_there_are() -> None:
    crowd = Crowd(2, 4)
    with crowd.joined(), crowd.joined(), crowd.joined(), crowd.share():
        assert allowed() == 1


def test_the_network_works_for_no_more_than_it_may() -> None:
    crowd, together = Crowd(4, 2), threading.Barrier(2)

    def one(_: int) -> None:
        with crowd.network():
            together.wait(5)  # two at once, always

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(one, range(6)))
    with crowd.network(), crowd.network(), pytest.raises(TimeoutError), crowd.network(0.01):
        pass
    with crowd.network(0.01):  # whoever gave up left nothing behind
        pass
