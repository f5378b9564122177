"""The two clients: one blocks, one is awaited. Both carry out the steps of the same operations."""

from __future__ import annotations

import asyncio
import os
import time
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import IO, Any, TypeVar

import httpx

from segsort_client.asking import DEFAULT_ADDRESS, Service
from segsort_client.flow import Awaiting, Blocking, Flow, Send, Sleep
from segsort_client.images import ImageInput
from segsort_client.many import Progress, ProgressInput, Result, Source, Stopped, failed, window
from segsort_client.operations import Operations
from segsort_client.operations.segmenting import Masks

T = TypeVar("T")
_C = TypeVar("_C", bound="Client")
_A = TypeVar("_A", bound="AsyncClient")
_LIMITS = httpx.Limits(max_connections=None, max_keepalive_connections=64, keepalive_expiry=4.0)


@contextmanager
def _partial(path: Path) -> Iterator[IO[bytes]]:
    """A file beside the path, which takes its place when it is complete, and is removed if it is not."""
    partial = path.with_name(f"{path.name}.part")
    try:
        with partial.open("wb") as file:
            yield file
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


class _Client(Operations):
    """What both clients have: an address, a key, and how requests are repeated."""

    def __init__(
        self,
        address: str = DEFAULT_ADDRESS,
        key: str | None = None,
        *,
        timeout: float | httpx.Timeout | None = 60.0,
        retries: int = 5,
        max_wait: float = 60.0,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(Service(address, key, headers, retries, max_wait, timeout), timeout)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.address!r})"


class Client(_Client, Blocking):
    """A client of the service that blocks. Threads may share it.

    Args:
        address: URL of the service, also below a path: https://host/sub.
        key: key of the caller; None: the service needs none.
        timeout: seconds to connect, and to wait for each part of an answer.
        retries: how often a request is sent again at most.
        max_wait: longest pause before a request is sent again, seconds. A longer Retry-After is an error at once.
        headers: further headers of every request.
        trust_env: whether proxies and certificates are taken from environment variables, as httpx does.
        http: client to send requests with, for example with certificates of its own; None: one is made.
    """

    def __init__(
        self,
        address: str = DEFAULT_ADDRESS,
        key: str | None = None,
        *,
        timeout: float | httpx.Timeout | None = 60.0,
        retries: int = 5,
        max_wait: float = 60.0,
        headers: Mapping[str, str] | None = None,
        trust_env: bool = True,
        http: httpx.Client | None = None,
    ) -> None:
        super().__init__(address, key, timeout=timeout, retries=retries, max_wait=max_wait, headers=headers)
        self._own_http = http is None
        self._http = http or httpx.Client(trust_env=trust_env, limits=_LIMITS)

    def __enter__(self: _C) -> _C:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections. A client of httpx that was given is left open."""
        if self._own_http:
            self._http.close()

    def segment_many(
        self, images: Iterable[ImageInput], *, workers: int = 8, ordered: bool = True,
        progress: ProgressInput = None, segments: int | None = None, k: int | None = None, exemplars: int = 5,
        masks: Masks = "rle", min_index_revision: int = 0,
    ) -> Iterator[Result]:  # fmt: skip
        """Segment many images, a bounded number at a time.

        The images are taken one by one, while results are taken, so that an iterator of any length needs little
        memory: at most twice as many images as workers are under way, or finished and not yet taken.

        Args:
            images: images as `segment` takes them.
            workers: number of images that are sent at once.
            ordered: whether results come in the order of the images, or as they are completed.
            progress: True: a line on standard error; or a function of the number done and the total, which is None if
                it is not known.
            segments, k, exemplars, masks, min_index_revision: see `segment`.

        Yields:
            A result for each image. An error of one image is in its result, and ends no other.

        Raises:
            SegsortError: if the key is not accepted. An error of the iterator of images is raised after the results
                of the images before it.
        """
        options = {
            "segments": segments, "k": k, "exemplars": exemplars, "masks": masks,
            "min_index_revision": min_index_revision,
        }  # fmt: skip
        return self._many(Source(images), window(workers), workers, ordered, progress, options)

    def _many(
        self, source: Source, most: int, workers: int, ordered: bool, progress: ProgressInput, options: dict[str, Any]
    ) -> Iterator[Result]:
        stop, shown = Event(), Progress(progress, source.total)
        pool = ThreadPoolExecutor(workers, thread_name_prefix="segsort-client")

        def one(index: int, image: ImageInput) -> Result:
            try:
                return Result(index, image, self.run(Operations.segment(self, image, **options), stop))
            except Exception as error:
                return failed(index, image, error)

        def add(result: Result) -> Result:
            shown.add(result)
            return result

        under_way: deque[Future[Result]] = deque()
        try:
            while True:
                while len(under_way) < most and (taken := source.next()) is not None:
                    under_way.append(pool.submit(one, *taken))
                if not under_way:
                    break
                if ordered:
                    yield add(under_way.popleft().result())
                    continue
                for done in wait(under_way, return_when=FIRST_COMPLETED).done:
                    under_way.remove(done)
                    yield add(done.result())
            source.check()
        finally:
            stop.set()
            pool.shutdown(wait=True, cancel_futures=True)
            shown.end()

    def run(self, flow: Flow[T], stop: Event | None = None) -> T:
        """Carry out the steps of an operation. If `stop` is set during a pause, `Stopped` is raised."""
        try:
            step = next(flow)
            while True:
                step = flow.send(self._done(step, stop))
        except StopIteration as ended:
            result: T = ended.value
            return result
        finally:
            flow.close()  # also after Ctrl-C: an operation removes its temporary files at once

    def _done(self, step: Any, stop: Event | None) -> Any:
        if isinstance(step, Send):
            return self._sent(step)
        if isinstance(step, Sleep):
            if stop is not None and stop.wait(step.seconds):
                raise Stopped
            return None if stop is not None else time.sleep(step.seconds)
        return step.function()

    def _sent(self, step: Send) -> httpx.Response | httpx.RequestError:
        try:
            answer = self._http.send(step.request, **step.options(self._http.headers))
            try:
                if step.out is None or not answer.is_success:
                    answer.read()
                else:
                    with _partial(step.out) as file:
                        for piece in answer.iter_bytes():
                            file.write(piece)
            finally:
                answer.close()
        except httpx.RequestError as error:
            return error
        return answer


class AsyncClient(_Client, Awaiting):
    """A client of the service for asyncio. Its operations are those of `Client`, and are awaited.

    Args:
        address: URL of the service, also below a path: https://host/sub.
        key: key of the caller; None: the service needs none.
        timeout: seconds to connect, and to wait for each part of an answer.
        retries: how often a request is sent again at most.
        max_wait: longest pause before a request is sent again, seconds. A longer Retry-After is an error at once.
        headers: further headers of every request.
        trust_env: whether proxies and certificates are taken from environment variables, as httpx does.
        http: client to send requests with, for example with certificates of its own; None: one is made.
    """

    def __init__(
        self,
        address: str = DEFAULT_ADDRESS,
        key: str | None = None,
        *,
        timeout: float | httpx.Timeout | None = 60.0,
        retries: int = 5,
        max_wait: float = 60.0,
        headers: Mapping[str, str] | None = None,
        trust_env: bool = True,
        http: httpx.AsyncClient | None = None,
    ) -> None:
        super().__init__(address, key, timeout=timeout, retries=retries, max_wait=max_wait, headers=headers)
        self._own_http = http is None
        self._http = http or httpx.AsyncClient(trust_env=trust_env, limits=_LIMITS)

    async def __aenter__(self: _A) -> _A:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections. A client of httpx that was given is left open."""
        if self._own_http:
            await self._http.aclose()

    def segment_many(
        self, images: Iterable[ImageInput] | AsyncIterable[ImageInput], *, workers: int = 8, ordered: bool = True,
        progress: ProgressInput = None, segments: int | None = None, k: int | None = None, exemplars: int = 5,
        masks: Masks = "rle", min_index_revision: int = 0,
    ) -> AsyncIterator[Result]:  # fmt: skip
        """Segment many images, a bounded number at a time.

        The images are taken one by one, while results are taken, so that an iterator of any length needs little
        memory: at most twice as many images as workers are under way, or finished and not yet taken.

        Args:
            images: images as `segment` takes them, also of an asynchronous iterable.
            workers: number of images that are sent at once.
            ordered: whether results come in the order of the images, or as they are completed.
            progress: True: a line on standard error; or a function of the number done and the total, which is None if
                it is not known.
            segments, k, exemplars, masks, min_index_revision: see `segment`.

        Yields:
            A result for each image. An error of one image is in its result, and ends no other.

        Raises:
            SegsortError: if the key is not accepted. An error of the iterator of images is raised after the results
                of the images before it.
        """
        options = {
            "segments": segments, "k": k, "exemplars": exemplars, "masks": masks,
            "min_index_revision": min_index_revision,
        }  # fmt: skip
        return self._many(Source(images), window(workers), workers, ordered, progress, options)

    async def _many(
        self, source: Source, most: int, workers: int, ordered: bool, progress: ProgressInput, options: dict[str, Any]
    ) -> AsyncIterator[Result]:
        turns, shown = asyncio.Semaphore(workers), Progress(progress, source.total)

        async def one(index: int, image: ImageInput) -> Result:
            async with turns:
                try:
                    return Result(index, image, await self.run(Operations.segment(self, image, **options)))
                except Exception as error:
                    return failed(index, image, error)

        def add(result: Result) -> Result:
            shown.add(result)
            return result

        under_way: deque[asyncio.Task[Result]] = deque()
        try:
            while True:
                while len(under_way) < most and (taken := await source.anext()) is not None:
                    under_way.append(asyncio.create_task(one(*taken)))
                if not under_way:
                    break
                if ordered:
                    await asyncio.wait([under_way[0]])
                    yield add(under_way.popleft().result())
                    continue
                for done in (await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED))[0]:
                    under_way.remove(done)
                    yield add(done.result())
            source.check()
        finally:
            for task in under_way:
                task.cancel()
            await asyncio.gather(*under_way, return_exceptions=True)
            shown.end()

    async def run(self, flow: Flow[T]) -> T:
        """Carry out the steps of an operation."""
        try:
            step = next(flow)
            while True:
                step = flow.send(await self._done(step))
        except StopIteration as ended:
            result: T = ended.value
            return result
        finally:
            flow.close()  # also when it is cancelled: an operation removes its temporary files at once

    async def _done(self, step: Any) -> Any:
        if isinstance(step, Send):
            return await self._sent(step)
        if isinstance(step, Sleep):
            return await asyncio.sleep(step.seconds)
        return await asyncio.to_thread(step.function)

    async def _sent(self, step: Send) -> httpx.Response | httpx.RequestError:
        try:
            answer = await self._http.send(step.request, **step.options(self._http.headers))
            try:
                if step.out is None or not answer.is_success:
                    await answer.aread()
                else:
                    with _partial(step.out) as file:
                        async for piece in answer.aiter_bytes():
                            file.write(piece)
            finally:
                await answer.aclose()
        except httpx.RequestError as error:
            return error
        return answer
