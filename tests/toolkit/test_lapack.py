"""LAPACK in place and without the GIL: known answers, refusals, and a thread that goes on meanwhile."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from recsys_desktop.api.dataset import Float32
from recsys_desktop.toolkit import lapack


def positive_definite(size: int, seed: int = 0) -> Float32:
    factor = np.random.default_rng(seed).standard_normal((size, size + 5)).astype(np.float32)
    matrix: Float32 = factor @ factor.T + np.eye(size, dtype=np.float32)
    return matrix


def test_the_factor_is_the_one_of_numpy() -> None:
    matrix = positive_definite(40)
    factor = matrix.copy()
    lapack.cholesky_factor(factor)
    assert np.allclose(np.tril(factor), np.linalg.cholesky(matrix.astype(np.float64)), atol=1e-3)


def test_only_the_lower_triangle_is_read_and_written() -> None:
    matrix = positive_definite(17)
    spoilt = np.tril(matrix) + np.triu(np.full_like(matrix, 99.0), 1)
    lapack.cholesky_factor(spoilt)
    assert (spoilt[np.triu_indices(17, 1)] == 99.0).all()
    whole = matrix.copy()
    lapack.cholesky_factor(whole)
    assert np.array_equal(np.tril(spoilt), np.tril(whole))


@pytest.mark.parametrize("size", [1, 2, 511, 512, 513, 1100, 1537, 2400])
def test_the_inverse_is_whole_and_symmetric(size: int) -> None:
    matrix = positive_definite(size)
    found = matrix.copy()
    lapack.inverse(found)
    assert np.array_equal(found, found.T)
    assert np.abs(found.astype(np.float64) @ matrix - np.eye(size)).max() < 0.02


def test_large_inverses_have_the_same_bits_for_any_number_of_threads_and_tell_their_progress() -> None:
    matrix = positive_definite(1700)
    first, second = matrix.copy(), matrix.copy()
    shares: list[float] = []
    assert lapack.inverse(first, 1)
    assert lapack.inverse(second, 3, progress=shares.append)
    assert np.array_equal(first, second)
    assert shares == sorted(shares)
    assert len(shares) > 5
    assert shares[-1] == pytest.approx(1)


def test_a_large_inverse_stops_between_steps() -> None:
    shares: list[float] = []
    stopped = lapack.inverse(positive_definite(1700), 2, should_stop=lambda: len(shares) >= 2, progress=shares.append)
    assert not stopped
    assert len(shares) == 2


def test_a_matrix_without_a_factor_is_refused() -> None:
    with pytest.raises(lapack.NotPositiveDefinite, match="raise the regularisation"):
        lapack.cholesky_factor(-np.eye(3, dtype=np.float32))


@pytest.mark.parametrize(
    "matrix", [np.eye(3), np.ones((2, 3), dtype=np.float32), np.asfortranarray(np.ones((3, 3), dtype=np.float32) * 2)]
)
def test_what_cannot_be_changed_in_place_is_refused(matrix: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"square|float32"):
        lapack.cholesky_factor(matrix)


def test_another_thread_goes_on_meanwhile() -> None:
    matrix = positive_definite(64)
    lapack.cholesky_factor(matrix.copy())
    large = np.eye(3000, dtype=np.float32) * 2
    beats = 0
    done = threading.Event()

    def beat() -> None:
        nonlocal beats
        while not done.is_set():
            beats += 1
            time.sleep(0.001)

    heart = threading.Thread(target=beat)
    heart.start()
    before, start = beats, time.perf_counter()
    lapack.cholesky_factor(large)
    lapack.inverse_from_factor(large)
    seconds, during = time.perf_counter() - start, beats - before
    done.set()
    heart.join()
    assert during > seconds * 1000 / 20, f"{during} beats in {seconds:.2f} s: the interpreter's lock was held"
