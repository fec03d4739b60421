"""Checks of what an algorithm takes and touches: an honest forecast, light specifications, no Qt, no network."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from recsys_desktop.api.dataset import DataShape
from recsys_desktop.api.forecast import Forecast
from recsys_desktop.api.testing.measure import ALLOCATOR_NOISE, Measurement, measure_fits
from recsys_desktop.api.testing.workbench import Workbench, hold

HEAVY = ("torch", "sentence_transformers", "sklearn", "numba", "scipy", "pandas", "pyarrow")
QT = ("PySide6", "PySide2", "PyQt6", "PyQt5", "qtpy", "pyqtgraph", "superqt")

_ENOUGH_TO_MEASURE = 64 * 2**20
_SECONDS_TO_MEASURE = 2.0
_LARGEST_FACTOR = 16
_SMALLER = 2
_LOOPBACK = ("127.", "::1", "localhost")


class ResourceChecks(Workbench):
    """The forecast tells the truth without allocating; listing is light; nothing is drawn and nobody is called."""

    def test_the_forecast_is_made_without_allocating(self) -> None:
        model = self._forecaster()
        huge = DataShape(50_000_000, 2_000_000, 5_000_000_000, 40_000_000, 0, 2_000_000_000, 200_000)
        tracemalloc.start()
        start = time.perf_counter()
        forecast = model.estimate(huge)
        taken = time.perf_counter() - start
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        hold(isinstance(forecast, Forecast), f"`estimate` answers with a {type(forecast).__name__}, not a Forecast")
        hold(peak < 4 * 2**20, f"`estimate` allocated {peak / 2**20:.0f} MiB; a forecast is made before anything is")
        hold(taken < 1, f"`estimate` took {taken:.1f} s")
        hold(
            forecast.cheaper == ""
            or (re.fullmatch(r"[a-z0-9-]+", forecast.cheaper) and forecast.cheaper != self.spec.id),
            f"the forecast names '{forecast.cheaper}' as a cheaper algorithm, which is no other algorithm's id",
        )

    def test_the_forecast_grows_with_the_data(self) -> None:
        model = self._forecaster()
        small, large = model.estimate(self._shape(1)), model.estimate(self._shape(16))
        for forecast in (small, large):
            hold(
                isinstance(forecast.memory_bytes, int) and forecast.memory_bytes > 0 and forecast.seconds >= 0,
                f"a forecast has whole bytes above 0 and seconds from 0, not {forecast}",
            )
        hold(
            small.memory_bytes < large.memory_bytes and small.seconds <= large.seconds,
            "sixteen times the data are forecast to take no more memory, or less time",
        )

    def test_the_forecast_is_at_least_the_peak_and_at_most_twice_it(self) -> None:
        """At least what the fit holds at its peak, which every run repeats; at most twice what its heap grows to."""
        told = self._measured(steady_heap=True)
        hold(
            all(found.peak_bytes <= found.forecast.memory_bytes + ALLOCATOR_NOISE for found in told),
            f"`estimate` promises too little: {_in_words(told)}",
        )
        if not _at_most_twice(told):
            told = self._measured(steady_heap=False)
        hold(_at_most_twice(told), f"`estimate` asks for more than twice what `fit` takes: {_in_words(told)}")

    def test_the_network_is_left_alone(self) -> None:
        with _recorded_connections() as attempts:
            self.fit(self.train).score(self.everyone())
        hold(
            not attempts,
            f"`fit` or `score` tried to reach {', '.join(attempts)}; everything runs on the person's machine",
        )

    def test_listing_it_imports_nothing_heavy(self) -> None:
        names = [self.spec_module] if self.spec_module else self._modules_with_the_spec()
        hold(
            names,
            "the spec is defined in the implementation's own module: move it into a light module, so that algorithms "
            "can be listed without importing them (or name it in `spec_module`)",
        )
        implementation = self.spec.implementation.partition(":")[0]
        # A plugin of one file says so by naming it in `spec_module`; that file then has to be light itself.
        heavy = (*HEAVY, *QT) if self.spec_module == implementation else (*HEAVY, *QT, implementation)
        loaded = {name: self._imported_by(f"import {name}", heavy) for name in names}
        best = min(loaded, key=lambda name: len(loaded[name]))
        hold(
            not loaded[best],
            f"importing {best}, where the spec is, imports {', '.join(loaded[best])}; listing algorithms stays light",
        )

    def test_fitting_it_imports_no_qt(self) -> None:
        loaded = sorted(self._measured(steady_heap=True)[-1].packages.intersection(QT))
        hold(not loaded, f"fitting it imports {', '.join(loaded)}; algorithms know nothing of the window")

    def _measured(self, steady_heap: bool) -> list[Measurement]:
        """Fits of the two sizes in a fresh process, made at the first call."""
        if steady_heap not in self._measurements:
            shapes, params = self._forecast_shapes(), self._forecast_params()
            self._measurements[steady_heap] = measure_fits(
                self.spec, shapes, params, self.members, steady_heap=steady_heap
            )
        return self._measurements[steady_heap]

    def _forecaster(self) -> Any:
        return self.spec.load()(self.spec.params.parse(self._forecast_params()))

    def _forecast_params(self) -> dict[str, Any]:
        return dict(self.params if self.forecast_params is None else self.forecast_params)

    def _shape(self, factor: float) -> DataShape:
        users, items = int(2000 * factor), int(800 * factor**0.5)
        uses_content = self.spec.capabilities.uses_text or self.spec.capabilities.uses_features
        content = uses_content or self.spec.needs.item_content
        return DataShape(
            users,
            items,
            50 * users,
            5 * items if content else 0,
            0,
            200 * items if content else 0,
            min(items, 1500),
        )

    def _forecast_shapes(self) -> list[DataShape]:
        """Two sizes: the larger is forecast well above what allocators blur, or is as large as patience allows."""
        if self.forecast_shapes:
            return list(self.forecast_shapes)
        model, factor = self._forecaster(), 2
        while factor < _LARGEST_FACTOR:
            forecast = model.estimate(self._shape(factor))
            if forecast.memory_bytes >= _ENOUGH_TO_MEASURE or forecast.seconds >= _SECONDS_TO_MEASURE:
                break
            factor *= 2
        return [self._shape(factor / _SMALLER), self._shape(factor)]

    def _modules_with_the_spec(self) -> list[str]:
        own = {type(self).__module__, self.spec.implementation.partition(":")[0]}
        return sorted(
            name
            for name, module in list(sys.modules.items())
            if name not in own
            and not name.rpartition(".")[2].startswith("test_")
            and any(value is self.spec for value in list(vars(module).values()))
        )

    def _imported_by(self, code: str, names: tuple[str, ...]) -> list[str]:
        """Which of the modules in `names` a fresh interpreter has after running `code`."""
        ask = f"{code}\nimport json, sys\nprint(json.dumps([name for name in {names!r} if name in sys.modules]))"
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        done = subprocess.run(
            [sys.executable, "-c", ask], capture_output=True, text=True, env=environment, timeout=120, check=False
        )
        hold(done.returncode == 0, f"`{code}` fails in a fresh interpreter:\n{done.stderr[-2000:]}")
        found: list[str] = json.loads(done.stdout.splitlines()[-1])
        return found


def _at_most_twice(measurements: list[Measurement]) -> bool:
    return all(found.forecast.memory_bytes <= 2 * found.peak_bytes + ALLOCATOR_NOISE for found in measurements)


def _in_words(measurements: list[Measurement]) -> str:
    return "; ".join(
        f"on {found.shape.n_users} users, {found.shape.n_items} items and {found.shape.n_interactions} interactions it "
        f"forecasts {found.forecast.memory_bytes / 2**20:.0f} MiB, the measured peak is "
        f"{found.peak_bytes / 2**20:.0f} MiB"
        for found in measurements
    )


@contextmanager
def _recorded_connections() -> Iterator[list[str]]:
    """Refuse every connection beyond this machine and keep a list of them."""
    attempts: list[str] = []
    connect, look_up = socket.socket.connect, socket.getaddrinfo

    def refuse_connect(self: socket.socket, address: Any) -> None:
        host = address[0] if isinstance(address, tuple) else ""
        if self.family in (socket.AF_INET, socket.AF_INET6) and not str(host).startswith(_LOOPBACK):
            attempts.append(str(host))
            raise OSError(f"the conformance kit allows no connection to {host}")
        connect(self, address)

    def refuse_look_up(host: Any, *arguments: Any, **options: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        if name and not str(name).startswith(_LOOPBACK):
            attempts.append(str(name))
            raise OSError(f"the conformance kit allows no connection to {name}")
        return look_up(host, *arguments, **options)

    socket.socket.connect = refuse_connect  # type: ignore[assignment, method-assign]
    socket.getaddrinfo = refuse_look_up
    try:
        yield attempts
    finally:
        socket.socket.connect = connect  # type: ignore[method-assign]
        socket.getaddrinfo = look_up
