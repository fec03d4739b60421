"""Plugins are loaded and asked one by one: a broken one is shown and costs nothing but itself."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from recsys_desktop.api import API_VERSION, MetricSpec, hookimpl
from recsys_desktop.engine import Engine, PluginInfo, Registry, UnknownName
from tests.engine import toys

GOOD = """
from recsys_desktop.api import hookimpl
from tests.engine import toys

@hookimpl
def recsys_desktop_algorithms():
    return [toys.POPULAR]
"""


def discover(folder: Path, **more: object) -> Registry:
    return Registry.discover(folder, **more)  # type: ignore[arg-type]


def info(registry: Registry, name: str) -> PluginInfo:
    return next(plugin for plugin in registry.plugins if plugin.name == name)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "good.py").write_text(GOOD)
    return tmp_path


BROKEN = {
    "raises at import": ("raise RuntimeError('no import today')", "no import today"),
    "leaves the program at import": ("import sys\nsys.exit(3)", "SystemExit"),
    "is not Python": ("def (:", "SyntaxError"),
    "needs a module that is missing": ("import there_is_no_such_module", "there_is_no_such_module"),
    "raises when asked": (
        "from recsys_desktop.api import hookimpl\n"
        "@hookimpl\n"
        "def recsys_desktop_algorithms():\n    raise KeyError('lost')",
        "recsys_desktop_algorithms failed: KeyError: 'lost'",
    ),
    "returns something else": (
        "from recsys_desktop.api import hookimpl\n@hookimpl\ndef recsys_desktop_algorithms():\n    return 7",
        "must return a list or tuple, not int",
    ),
    "returns a list of something else": (
        "from recsys_desktop.api import hookimpl\n@hookimpl\ndef recsys_desktop_algorithms():\n    return ['ease']",
        "must be AlgorithmSpec, not str",
    ),
    "misspells a hook": (
        "from recsys_desktop.api import hookimpl\n@hookimpl\ndef recsys_desktop_algoritms():\n    return []",
        "recsys_desktop_algoritms",
    ),
    "has a hook with an argument that does not exist": (
        "from recsys_desktop.api import hookimpl\n@hookimpl\ndef recsys_desktop_algorithms(config):\n    return []",
        "cannot be registered",
    ),
    "forgets the marker": (
        "def recsys_desktop_algorithms():\n    return []",
        "not marked with @hookimpl",
    ),
    "is for a later contract": ("RECSYS_DESKTOP_API = '99.0'", "written for version 99.0"),
    "brings an id that is taken": (
        "from recsys_desktop.api import hookimpl\nfrom tests.engine import toys\n"
        "@hookimpl\ndef recsys_desktop_algorithms():\n    return [toys.POPULAR]",
        "'toy-popular' is taken by the plugin 'good'",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_plugin_is_shown_and_the_others_work(case: str, folder: Path) -> None:
    source, message = BROKEN[case]
    (folder / "zz_broken.py").write_text(source)
    registry = discover(folder)
    assert message in info(registry, "zz_broken").error
    assert "toy-popular" in registry.algorithms
    assert info(registry, "good").error == ""
    shipped = [plugin for plugin in registry.plugins if plugin.origin == "shipped"]
    assert shipped and not any(plugin.error for plugin in shipped)


def test_what_is_right_in_a_plugin_with_a_misspelt_hook_is_used(folder: Path) -> None:
    (folder / "half.py").write_text(
        "from recsys_desktop.api import hookimpl\nfrom tests.engine import toys\n"
        "@hookimpl\ndef recsys_desktop_algorithms():\n    return [toys.MEAN]\n"
        "@hookimpl\ndef recsys_desktop_metric():\n    return []\n"
    )
    registry = discover(folder)
    assert "a hook that does not exist (recsys_desktop_metric); the hooks are:" in info(registry, "half").error
    assert "toy-mean" in registry.algorithms


def test_one_wrong_algorithm_does_not_cost_its_plugin_the_others() -> None:
    class Wrong(toys.NoParams):
        size: int = "many"  # type: ignore[assignment]

    from dataclasses import replace

    wrong = replace(toys.POPULAR, id="toy-wrong", params=Wrong)
    plugin = SimpleNamespace(recsys_desktop_algorithms=hookimpl(lambda: [wrong, toys.MEAN]))
    registry = discover(Path("/nonexistent"), extra={"mixed": plugin})
    assert "toy-mean" in registry.algorithms and "toy-wrong" not in registry.algorithms
    assert "default parameters are not valid" in info(registry, "mixed").error


def test_the_first_to_bring_an_id_keeps_it() -> None:
    from dataclasses import replace

    second = replace(toys.POPULAR, name="An impostor")
    plugins = {
        "first": SimpleNamespace(recsys_desktop_algorithms=hookimpl(lambda: [toys.POPULAR])),
        "second": SimpleNamespace(recsys_desktop_algorithms=hookimpl(lambda: [second])),
    }
    registry = discover(Path("/nonexistent"), extra=plugins)
    assert registry.spec("toy-popular").name == toys.POPULAR.name
    assert "first" in info(registry, "second").error


def test_a_plugin_cannot_take_the_id_of_a_built_in_metric() -> None:
    plugin = SimpleNamespace(
        recsys_desktop_metrics=hookimpl(lambda: [MetricSpec("ndcg", "Mine", "", lambda lists: lists)])
    )
    registry = discover(Path("/nonexistent"), extra={"metrics": plugin})
    assert registry.metrics["ndcg"].name == "NDCG"
    assert "'ndcg' is taken" in info(registry, "metrics").error


def test_a_package_in_the_folder_is_loaded_with_its_own_modules(tmp_path: Path) -> None:
    package = tmp_path / "toy_package_for_discovery"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "numbers_of_mine.py").write_text("ANSWER = 42")
    (package / "plugin.py").write_text(
        "from toy_package_for_discovery.numbers_of_mine import ANSWER\n" + GOOD.replace("good", "package")
    )
    registry = discover(tmp_path)
    assert info(registry, package.name).error == ""
    assert "toy-popular" in registry.algorithms
    for name in [name for name in sys.modules if name.startswith(package.name)]:
        del sys.modules[name]


def test_a_dropped_in_file_shadows_no_library(tmp_path: Path) -> None:
    (tmp_path / "json.py").write_text("raise RuntimeError('imported as json')")
    registry = discover(tmp_path)
    assert "imported as json" in info(registry, "json").error
    import json

    assert json.loads("1") == 1


def test_safe_mode_and_switched_off_plugins_are_listed_but_not_loaded(folder: Path) -> None:
    (folder / "explodes.py").write_text("raise RuntimeError('was loaded')")
    safe = discover(folder, safe_mode=True)
    assert not info(safe, "explodes").enabled and info(safe, "explodes").error == ""
    assert "toy-popular" not in safe.algorithms
    assert any(plugin.origin == "shipped" and plugin.enabled for plugin in safe.plugins)
    chosen = discover(folder, disabled=frozenset({"explodes"}))
    assert not info(chosen, "explodes").enabled
    assert "toy-popular" in chosen.algorithms


def test_switching_a_plugin_off_lasts(tmp_path: Path) -> None:
    plugins = tmp_path / "plugins"
    plugins.mkdir(parents=True)
    (plugins / "good.py").write_text(GOOD)
    with Engine.open(tmp_path) as engine:
        assert "toy-popular" in engine.registry.algorithms
        engine.set_plugin_enabled("good", False)
        with pytest.raises(UnknownName, match="plugin"):
            engine.set_plugin_enabled("nobody", False)
    with Engine.open(tmp_path) as engine:
        assert "toy-popular" not in engine.registry.algorithms
        engine.set_plugin_enabled("good", True)
    with Engine.open(tmp_path) as engine:
        assert "toy-popular" in engine.registry.algorithms


def test_an_unknown_algorithm_is_refused_with_near_names() -> None:
    registry = discover(Path("/nonexistent"), extra={"toys": toys})
    with pytest.raises(UnknownName, match="did you mean 'toy-popular'"):
        registry.spec("toy-populr")


def test_listing_is_in_the_order_of_families() -> None:
    from recsys_desktop.api import Family

    registry = discover(Path("/nonexistent"), extra={"toys": toys})
    order = [list(Family).index(spec.family) for spec in registry.algorithms.values()]
    assert order == sorted(order)


def test_this_version_of_the_contract_is_accepted(tmp_path: Path) -> None:
    (tmp_path / "good.py").write_text(f"RECSYS_DESKTOP_API = {API_VERSION!r}\n{GOOD}")
    assert info(discover(tmp_path), "good").error == ""
