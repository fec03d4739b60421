"""Bringing libraries into memory ahead of time: a broken plugin is left for later, and stopping is heard."""

from __future__ import annotations

from types import SimpleNamespace

from recsys_desktop.gui.warm_up import device_name, load_algorithms, load_torch_libraries


class _Spec:
    def __init__(self, key: str, loaded: list[str], error: Exception | None = None) -> None:
        self.id, self._loaded, self._error = key, loaded, error

    def load(self) -> None:
        if self._error is not None:
            raise self._error
        self._loaded.append(self.id)


def test_a_broken_algorithm_does_not_keep_the_others_from_being_prepared() -> None:
    loaded: list[str] = []
    specs = [_Spec("first", loaded), _Spec("broken", loaded, ImportError("no such module")), _Spec("last", loaded)]
    registry = SimpleNamespace(algorithms={spec.id: spec for spec in specs})
    load_algorithms(registry, lambda: False)
    assert loaded == ["first", "last"]
    load_algorithms(registry, lambda: True)
    assert loaded == ["first", "last"]


def test_libraries_loaded_ahead_are_those_that_torch_uses() -> None:
    load_torch_libraries()
    import torch

    assert float(torch.ones(3).sum()) == 3.0
    assert device_name() in {"CPU", "GPU", "Apple GPU"}
    assert device_name("cpu") == "CPU"
    assert load_torch_libraries() == [], "there is nothing left to load once torch is here"
