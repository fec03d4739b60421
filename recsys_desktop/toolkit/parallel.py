"""Parallel work that neither freezes the window nor aborts the process: kernels in blocks on threads, BLAS limits."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from typing import Any

from recsys_desktop.api import CannotFit, RunContext

_blas_lock = threading.Lock()
_blas_requests: list[int] = []
_blas_limiter: Any = None
_rehearsed: set[str] = set()
_COMPILING = "compiling, once"


def in_blocks(
    task: Callable[[int, int], object],
    size: int,
    block: int,
    threads: int,
    *,
    should_stop: Callable[[], bool] = lambda: False,
    progress: Callable[[float], object] = lambda fraction: None,
) -> bool:
    """Call `task(begin, end)` for consecutive blocks of 0..size on several threads; False when it was stopped.

    This is the way to run a numba kernel compiled with `nogil=True` on several cores. numba's own parallel kernels are
    not used anywhere: their `workqueue` layer aborts the process when two threads run them at once. Blocks can be
    stopped in between, and are the same whatever the number of threads; a task that writes only to its own block gives
    the same bits for any of them.

    should_stop: asked between blocks. progress: told the finished share, on the calling thread.

    Raises
    ------
    Whatever `task` raises; blocks that have not begun are then dropped.
    """
    bounds = [(begin, min(begin + block, size)) for begin in range(0, size, block)]
    if threads <= 1 or len(bounds) <= 1:
        for done, (begin, end) in enumerate(bounds, 1):
            if should_stop():
                return False
            task(begin, end)
            progress(done / len(bounds))
        return True
    with ThreadPoolExecutor(min(threads, len(bounds)), thread_name_prefix="blocks") as pool:
        waiting: set[Future[object]] = set()
        begun = done = 0
        try:
            while done < len(bounds):
                if should_stop():
                    return False
                while begun < len(bounds) and len(waiting) < 2 * threads:
                    waiting.add(pool.submit(task, *bounds[begun]))
                    begun += 1
                finished, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                for future in finished:
                    future.result()
                done += len(finished)
                progress(done / len(bounds))
        finally:
            for future in waiting:
                future.cancel()
    return True


@contextmanager
def blas_threads(limit: int = 1) -> Iterator[None]:
    """Hold BLAS and LAPACK to `limit` threads, in the whole process while any such context is open.

    Where contexts of several threads overlap the smallest limit holds, and the original setting returns when the last
    one closes (`threadpool_limits` alone would restore whatever it found, in whatever order contexts close).
    """
    _request_blas(limit, _blas_requests.append)
    try:
        yield
    finally:
        _request_blas(limit, _blas_requests.remove)


def _request_blas(limit: int, change: Callable[[int], None]) -> None:
    from threadpoolctl import threadpool_limits

    global _blas_limiter
    with _blas_lock:
        before = min(_blas_requests, default=None)
        change(limit)
        after = min(_blas_requests, default=None)
        if after == before:
            return
        if _blas_limiter is not None:
            _blas_limiter.restore_original_limits()
            _blas_limiter = None
        if after is not None:
            _blas_limiter = threadpool_limits(after, user_api="blas")


def announce_compilation(run: RunContext, *kernels: Any) -> None:
    """Show a step when one of these numba kernels has yet to be compiled or loaded from numba's cache.

    That happens when it is first called: call it next, before another step is shown, or use `rehearse`.
    """
    if any(not kernel.signatures for kernel in kernels):
        run.progress(0.0, _COMPILING)


def rehearse(run: RunContext, name: str, work: Callable[[RunContext], object]) -> None:
    """Show a step while `work` calls numba kernels for the first time, so that they are not compiled in later steps.

    work: does on very little data what the run will do, so that the same kernels get arguments of the same types; it
    is called with a silent run, once in the process for each `name`. Where it cannot fit, that is told to nobody.
    """
    if name in _rehearsed:
        return
    _rehearsed.add(name)
    run.progress(0.0, _COMPILING)
    with suppress(CannotFit):
        work(RunContext(threads=1))
