"""Every hook is specified, documented in one line, and named for the project."""

import inspect

import pluggy
import pytest

from recsys_desktop.api import extensions, hookimpl, hooks

HOOKS = {
    name: function
    for name, function in inspect.getmembers(hooks, inspect.isfunction)
    if hasattr(function, f"{hooks.PROJECT}_spec")
}


def test_what_a_plugin_may_bring_has_a_hook():
    assert set(HOOKS) == {
        f"recsys_desktop_{what}"
        for what in ("algorithms", "metrics", "readers", "splitters", "panels", "run_observers")
    }


@pytest.mark.parametrize("name", HOOKS)
def test_a_hook_has_one_line_of_documentation(name):
    text = inspect.getdoc(HOOKS[name])
    assert text
    assert "\n" not in text
    assert text.endswith(".")
    assert "return" in inspect.get_annotations(HOOKS[name])
    assert not inspect.signature(HOOKS[name]).parameters, "an argument must be documented, and this test then changed"


@pytest.mark.parametrize(
    "kind", [extensions.MetricSpec, extensions.ReaderSpec, extensions.SplitterSpec, extensions.PanelSpec]
)
def test_what_a_hook_returns_documents_its_fields(kind):
    text = inspect.getdoc(kind) or ""
    obvious = {"id", "name", "title", "summary", "params", "icon"}
    assert [name for name in kind.__dataclass_fields__ if name not in obvious and f"{name}:" not in text] == []


def test_pluggy_takes_the_specifications_and_an_implementation():
    class Plugin:
        @hookimpl
        def recsys_desktop_metrics(self):
            return ["a metric"]

    manager = pluggy.PluginManager(hooks.PROJECT)
    manager.add_hookspecs(hooks)
    manager.register(Plugin())
    manager.check_pending()
    assert manager.hook.recsys_desktop_metrics() == [["a metric"]]
    assert manager.hook.recsys_desktop_algorithms() == []
