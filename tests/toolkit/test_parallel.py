"""Blocks on threads, limits of BLAS, and the step that tells of compiling."""

from __future__ import annotations

import re
import time
from pathlib import Path

import numba
import numpy as np
import pytest
from threadpoolctl import threadpool_info

from recsys_desktop.api import CannotFit, RunContext
from recsys_desktop.toolkit.parallel import announce_compilation, blas_threads, in_blocks, rehearse


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


def test_no_kernel_uses_the_parallel_layer_of_numba() -> None:
    """It aborts the process when two threads run such kernels at once; see `in_blocks`."""
    root = Path(__file__).resolve().parents[2]
    sources = [*(root / "recsys_desktop").rglob("*.py"), *(root / "plugins").rglob("*.py")]
    users = [path.name for path in sources if re.search(r"parallel\s*=\s*True|\bprange\b", path.read_text("utf-8"))]
    assert len(sources) > 50
    assert users == []


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


def test_a_rehearsal_compiles_while_that_is_shown_and_only_once() -> None:
    class Told(RunContext):
        texts: tuple[str, ...] = ()

        def progress(self, fraction: float, text: str = "") -> None:
            self.texts += (text,)

    @numba.njit
    def kernel(x: int) -> int:
        return x + 1

    run, shown = Told(), []

    def work(silent: RunContext) -> None:
        silent.progress(0.5, "epoch 1")
        kernel(1)
        shown.append(run.texts)
        rehearse(silent, "test: adding one", work)
        raise CannotFit("too little data")

    rehearse(run, "test: adding one", work)
    rehearse(run, "test: adding one", work)
    assert len(kernel.signatures) == 1
    assert run.texts == ("compiling, once",)
    assert shown == [("compiling, once",)]
