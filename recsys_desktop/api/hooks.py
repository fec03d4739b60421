"""Hook specifications (pluggy): what the application asks of a plugin.

A plugin is a module or object under an entry point of the group `recsys_desktop`, or a file in the workspace's
`plugins` folder, with functions of these names marked by `hookimpl`.
"""

from __future__ import annotations

from collections.abc import Sequence

import pluggy

from recsys_desktop.api.algorithm import AlgorithmSpec
from recsys_desktop.api.extensions import MetricSpec, PanelSpec, ReaderSpec, RunObserver, SplitterSpec

PROJECT = "recsys_desktop"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def recsys_desktop_algorithms() -> Sequence[AlgorithmSpec]:
    """The algorithms this plugin brings; must not import them."""
    return ()


@hookspec
def recsys_desktop_metrics() -> Sequence[MetricSpec]:
    """The ranking metrics this plugin brings."""
    return ()


@hookspec
def recsys_desktop_readers() -> Sequence[ReaderSpec]:
    """The file formats this plugin reads."""
    return ()


@hookspec
def recsys_desktop_splitters() -> Sequence[SplitterSpec]:
    """The ways of splitting data this plugin brings."""
    return ()


@hookspec
def recsys_desktop_panels() -> Sequence[PanelSpec]:
    """The window pages this plugin brings."""
    return ()


@hookspec
def recsys_desktop_run_observers() -> Sequence[RunObserver]:
    """Objects told of every run."""
    return ()
