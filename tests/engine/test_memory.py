"""Forecasts against free memory, the measured peak, and thread limits."""

from __future__ import annotations

import time

import numpy as np
import pytest

from recsys_desktop.api import DataShape, InvalidParameter
from recsys_desktop.engine import Registry, readable_bytes
from recsys_desktop.engine.memory import PeakMemory, forecast, free_memory, limited_threads
from tests.engine import toys

SHAPE = DataShape(1000, 1000, 10_000)


@pytest.fixture(scope="module")
def registry() -> Registry:
    return Registry.discover(None, extra={"toys": toys})


def test_a_forecast_is_held_against_the_free_memory(registry: Registry) -> None:
    answer = forecast(registry, "toy-together", {"memory": 5000}, SHAPE, free=10_000_000)
    assert answer.fits and answer.advice == ""
    assert answer.forecast.memory_bytes == 8_000_000
    refused = forecast(registry, "toy-together", {"memory": 2e9}, SHAPE, free=100_000_000)
    assert not refused.fits
    assert "'toy-together' needs about 2.0 GB" in refused.advice and "100 MB are free" in refused.advice
    assert "'toy-popular'" in refused.advice


def test_an_algorithm_that_would_not_fit_either_is_not_suggested(registry: Registry) -> None:
    refused = forecast(registry, "toy-together", {"memory": 2e9}, SHAPE, free=30_000_000)
    assert "'toy-popular'" not in refused.advice
    nothing = forecast(registry, "toy-together", {"memory": 2e9}, SHAPE, free=10)
    assert "use less data" in nothing.advice


def test_a_wrong_parameter_is_refused_before_a_forecast(registry: Registry) -> None:
    with pytest.raises(InvalidParameter, match="weight"):
        forecast(registry, "toy-together", {"weight": 0}, SHAPE)


def test_the_peak_is_measured_above_the_start() -> None:
    with PeakMemory() as peak:
        block = np.ones(25_000_000)
        time.sleep(0.1)
        del block
    assert 180e6 < peak.bytes < 320e6


def test_free_memory_is_a_sensible_figure() -> None:
    import psutil

    assert 0 < free_memory() <= psutil.virtual_memory().total


def test_threads_are_limited_inside_the_block_and_restored_after_it() -> None:
    from threadpoolctl import threadpool_info

    np.ones((4, 4)) @ np.ones((4, 4))
    before = [library["num_threads"] for library in threadpool_info()]
    with limited_threads(1):
        assert {library["num_threads"] for library in threadpool_info()} == {1}
    assert [library["num_threads"] for library in threadpool_info()] == before


@pytest.mark.parametrize(
    ("count", "text"), [(12, "12 bytes"), (4_200, "4.2 kB"), (512e6, "512 MB"), (3.21e9, "3.2 GB"), (2e12, "2.0 TB")]
)
def test_sizes_read_well(count: float, text: str) -> None:
    assert readable_bytes(count) == text
