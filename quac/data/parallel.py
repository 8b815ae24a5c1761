"""Work distributed over processes or threads, with the results in order."""

import ctypes
import multiprocessing
import signal
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from quac.system.errors import QuacError

PR_SET_PDEATHSIG = 1  # linux/prctl.h
Item = TypeVar("Item")
Result = TypeVar("Result")


def map_processes(
    function: Callable[[Item], Result], items: Sequence[Item], workers: int, chunk: int = 1
) -> Iterator[Result]:
    """Yield `function(item)` for each item, in order, computed by `workers` processes (0 or 1: by this one).

    `function` and the items must be picklable. Errors of the function are raised here.
    """
    if workers <= 1 or len(items) <= chunk:
        yield from map(function, items)
        return
    # Forked on Linux, so that a worker starts at once.
    context = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
    with ProcessPoolExecutor(workers, context, _start_worker) as pool:
        try:
            yield from pool.map(function, items, chunksize=chunk)
        except BrokenProcessPool:
            raise QuacError(
                "a process that decodes images was killed, most likely because memory ran out; lower data.num_workers"
            ) from None
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def map_threads(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    threads: int,
    ahead: Callable[[Result], int] = lambda result: 64,
) -> Iterator[Result]:
    """As `map_processes`, by threads; `ahead(result)`: how many items to compute ahead, initially one per thread."""
    with ThreadPoolExecutor(threads) as pool:
        started: deque[Future[Result]] = deque()
        limit = threads
        try:
            for item in items:
                started.append(pool.submit(function, item))
                while len(started) > limit:
                    result = started.popleft().result()
                    limit = ahead(result)
                    yield result
            while started:
                yield started.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


def _start_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent gets it too, and stops the workers in order
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # or workers of a killed parent would wait for ever
