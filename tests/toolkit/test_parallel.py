"""Blocks on threads, the lock of parallel kernels, and limits of BLAS."""

from __future__ import annotations

import threading
import time

import numba
import numpy as np
import pytest
from threadpoolctl import threadpool_info

from recsys_desktop.api import RunContext
from recsys_desktop.toolkit.parallel import announce_compilation, blas_threads, in_blocks, numba_threads


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("size", [0, 1, 10, 23])
def test_every_block_is_done_once(threads: int, size: int) -> None:
    hits = np.zeros(size, dtype=int)

    def task(begin: int, end: int) -> None:
        hits[begin:end] += 1

    shares: list[float] = []
    assert in_blocks(task, size, 4, threads, progress=shares.append)
    assert (hits == 1).all()
    assert shares == sorted(shares)
    assert not size or shares[-1] == 1.0


@pytest.mark.parametrize("threads", [1, 3])
def test_stops_between_blocks(threads: int) -> None:
    done: list[int] = []
    assert not in_blocks(lambda begin, end: done.append(begin), 100, 1, threads, should_stop=lambda: len(done) >= 5)
    assert 5 <= len(done) < 5 + 2 * threads + 1


@pytest.mark.parametrize("threads", [1, 3])
def test_an_error_reaches_the_caller_and_ends_the_work(threads: int) -> None:
    done: list[int] = []

    def task(begin: int, end: int) -> None:
        done.append(begin)
        if begin == 2:
            raise ZeroDivisionError("block 2")
        time.sleep(0.001)

    with pytest.raises(ZeroDivisionError, match="block 2"):
        in_blocks(task, 200, 1, threads)
    assert len(done) < 100


def blas_limits() -> set[int]:
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}


def test_overlapping_limits_hold_the_smallest_and_restore_the_first() -> None:
    np.ones((2, 2)) @ np.ones((2, 2))
    before = blas_limits()
    first, second = blas_threads(2), blas_threads(1)
    first.__enter__()
    second.__enter__()
    assert blas_limits() == {1}
    first.__exit__(None, None, None)
    assert blas_limits() == {1}
    second.__exit__(None, None, None)
    assert blas_limits() == before


def test_parallel_kernels_run_one_at_a_time() -> None:
    inside = most = 0
    guard = threading.Lock()

    def work() -> None:
        nonlocal inside, most
        with numba_threads(1):
            with guard:
                inside += 1
                most = max(most, inside)
            time.sleep(0.01)
            with guard:
                inside -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1


def test_the_number_of_numba_threads_is_put_back() -> None:
    before = numba.get_num_threads()
    with numba_threads(1):
        assert numba.get_num_threads() == 1
    assert numba.get_num_threads() == before


def test_compiling_is_told_once() -> None:
    class Told(RunContext):
        texts: tuple[str, ...] = ()

        def progress(self, fraction: float, text: str = "") -> None:
            self.texts += (text,)

    @numba.njit
    def kernel(x: int) -> int:
        return x + 1

    run = Told()
    announce_compilation(run, kernel)
    assert run.texts == ("compiling, once",)
    kernel(1)
    announce_compilation(run, kernel)
    assert run.texts == ("compiling, once",)
