"""Work shared out between processes or threads, results in order."""

import ctypes
import multiprocessing
import signal
import sys
from collections import deque
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool

from quac.system.errors import QuacError

PR_SET_PDEATHSIG = 1  # linux/prctl.h


def ordered(function, items, workers, chunk=1):
    """Yield `function(item)` for each item, in order, worked out by `workers` processes (1: by this one).

    `function` and the items are picklable. Its errors are raised here.
    """
    if workers == 1 or len(items) <= chunk:
        yield from map(function, items)
        return
    # Forked where that is safe, so that a worker starts at once.
    context = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
    with ProcessPoolExecutor(workers, context, _begin) as pool:
        try:
            yield from pool.map(function, items, chunksize=chunk)
        except BrokenProcessPool:
            raise QuacError(
                "a process that decodes images was killed, most likely for want of memory; lower data.num_workers"
            ) from None
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def in_threads(function, items, threads, ahead=lambda result: 64):
    """Yield `function(item)` for each item, in order, worked out by threads; its errors are raised here.

    `ahead` says, of the last result, how many may be worked out before they are asked for; at first one per thread.
    """
    with ThreadPoolExecutor(threads) as pool:
        begun, most = deque(), threads
        try:
            for item in items:
                begun.append(pool.submit(function, item))
                while len(begun) > most:
                    result = begun.popleft().result()
                    most = ahead(result)
                    yield result
            while begun:
                yield begun.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


def _begin():
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent sees it too, and ends the work in order
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # or a killed parent's workers would wait for ever
