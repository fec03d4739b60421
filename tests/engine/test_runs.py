"""EngineRun: nothing logged is lost, notifications are limited, and stopping comes in two kinds."""

from __future__ import annotations

import threading
import time

import pytest

from recsys_desktop.api import InvalidParameter
from recsys_desktop.engine import Cancelled, EngineRun, LogEntry


def test_every_log_entry_arrives_although_notifications_are_limited() -> None:
    batches: list[list[LogEntry]] = []
    run = EngineRun(on_log=batches.append)
    start = time.monotonic()
    for step in range(5000):
        run.log(step, loss=float(step))
    run.flush()
    elapsed = time.monotonic() - start
    entries = [entry for batch in batches for entry in batch]
    assert [entry.step for entry in entries] == list(range(5000))
    assert entries[123].values == {"loss": 123.0}
    assert len(batches) <= 20 * elapsed + 2


def test_of_progress_the_latest_counts_and_the_last_always_arrives() -> None:
    seen: list[tuple[float, str]] = []
    run = EngineRun(on_progress=lambda fraction, text: seen.append((fraction, text)))
    for step in range(1000):
        run.progress(step / 1000, f"step {step}")
    run.progress(2.0, "done")
    run.flush()
    assert seen[-1] == (1.0, "done")
    assert len(seen) < 100
    assert [fraction for fraction, _ in seen] == sorted(fraction for fraction, _ in seen)


def test_what_was_held_back_arrives_when_the_algorithm_next_asks_whether_to_stop() -> None:
    entries: list[LogEntry] = []
    run = EngineRun(on_log=entries.extend)
    run.log(1, loss=1.0)
    run.log(2, loss=0.5)
    time.sleep(0.06)
    assert not run.should_stop
    assert [entry.step for entry in entries] == [1, 2]


def test_a_part_of_a_run_has_its_own_scale() -> None:
    seen: list[float] = []
    run = EngineRun(on_progress=lambda fraction, _: seen.append(fraction))
    part = run.part(0.2, 0.6)
    part.progress(0.5)
    run.flush()
    assert seen == [pytest.approx(0.4)]


def test_stopping_and_keeping_is_not_cancelling() -> None:
    run = EngineRun()
    run.check()
    run.stop("keep")
    assert run.should_stop and run.kept and not run.discarded
    run.check()
    run.stop("discard")
    assert run.discarded and not run.kept
    with pytest.raises(Cancelled):
        run.check()


def test_events_of_the_face_stop_the_run() -> None:
    stop, keep = threading.Event(), threading.Event()
    run = EngineRun(stop_event=stop, keep_event=keep)
    assert not run.should_stop
    keep.set()
    assert not run.should_stop
    stop.set()
    assert run.kept


def test_an_unknown_way_to_stop_is_refused() -> None:
    with pytest.raises(ValueError, match="keep"):
        EngineRun().stop("pause")


def test_a_device_that_is_given_is_taken_over_the_setting_even_where_it_is_auto() -> None:
    assert EngineRun().device_or("cuda") == "cuda"
    assert EngineRun(device="auto").device_or("cuda") == "auto"
    assert EngineRun(device="cpu").device_or("cuda") == "cpu"


@pytest.mark.parametrize("name", ["gpu", "CUDA", "cuda:", "cuda:x", "cuda:-1", "auto ", ""])
def test_a_device_that_there_is_none_of_is_refused(name: str) -> None:
    with pytest.raises(InvalidParameter, match=r"parameter 'device': .* is no device; the devices are auto, cpu, cuda"):
        EngineRun(device=name)


def test_a_device_that_the_machine_lacks_is_refused_before_any_work() -> None:
    EngineRun().require_device()
    EngineRun(device="auto").require_device()
    with pytest.raises(InvalidParameter, match="'cuda:999' is not available on this machine"):
        EngineRun(device="cuda:999").require_device()
