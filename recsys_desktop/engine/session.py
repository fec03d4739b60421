"""Session: the state of an open engine: workspace, plugins, and the few data sets and models kept in memory."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

from recsys_desktop.api.roles import Role
from recsys_desktop.api.run import check_device
from recsys_desktop.engine.errors import UnknownName
from recsys_desktop.engine.plugins import DISABLED_SETTING, PluginInfo, Registry
from recsys_desktop.workspace import (
    DatasetRecord,
    ModelRecord,
    Workspace,
    WorkspaceError,
    export_model,
    import_model,
    workspace_folder,
)

if TYPE_CHECKING:
    from recsys_desktop.api.dataset import Dataset
    from recsys_desktop.api.extensions import Split
    from recsys_desktop.data import DatasetStatistics
    from recsys_desktop.engine.serving import ServedModel

PLUGINS_FOLDER = "plugins"
DEVICE_SETTING = "device"
THREADS_SETTING = "threads"
MOST_THREADS = 8

_KEPT_DATASETS = 3
_KEPT_MODELS = 4

Value = TypeVar("Value")


class RecentlyUsed(Generic[Value]):
    """The last few values by key; any thread may ask, and a value is made once even where several ask at a time."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._values: OrderedDict[Hashable, Value] = OrderedDict()
        self._guard = threading.RLock()

    def get(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """The value of `key`, made where it is not here."""
        with self._guard:
            if key not in self._values:
                self._values[key] = make()
                while len(self._values) > self._size:
                    self._values.popitem(last=False)
            self._values.move_to_end(key)
            return self._values[key]

    def forget(self, key: Hashable | None = None) -> None:
        """Drop one value, or all."""
        with self._guard:
            if key is None:
                self._values.clear()
            else:
                self._values.pop(key, None)


class Session:
    """An open workspace with its plugins.

    Attributes
    ----------
    workspace, registry. threads: the most that any work uses. safe_mode: only shipped plugins are loaded.
    """

    def __init__(self, workspace: Workspace, registry: Registry, threads: int, safe_mode: bool) -> None:
        self.workspace = workspace
        self.registry = registry
        self.threads = threads
        self.safe_mode = safe_mode
        self._datasets: RecentlyUsed[Dataset] = RecentlyUsed(_KEPT_DATASETS)
        self._statistics: RecentlyUsed[DatasetStatistics] = RecentlyUsed(_KEPT_DATASETS)
        self._models: RecentlyUsed[ServedModel] = RecentlyUsed(_KEPT_MODELS)

    @classmethod
    def open(
        cls,
        path: Path | str | None,
        mode: Literal["write", "read"],
        safe_mode: bool,
        threads: int | None,
        plugins: Mapping[str, Any] | None,
    ) -> Session:
        """As `Engine.open`."""
        workspace = Workspace.open(workspace_folder(path), mode)
        try:
            disabled = frozenset(workspace.setting(DISABLED_SETTING, []))
            registry = Registry.discover(workspace.path / PLUGINS_FOLDER, disabled, safe_mode, plugins)
            wanted = threads if threads is not None else workspace.setting(THREADS_SETTING)
            return cls(workspace, registry, capped_threads(wanted), safe_mode)
        except BaseException:
            workspace.close()
            raise

    def close(self) -> None:
        """Drop what is in memory and close the workspace."""
        self._models.forget()
        self._datasets.forget()
        self._statistics.forget()
        self.workspace.close()

    @property
    def device(self) -> str:
        """What neural models are trained on where a run does not say: as in `RunContext`."""
        return str(self.workspace.setting(DEVICE_SETTING, "auto"))

    def set_device(self, name: str) -> None:
        """As `Engine.set_device`."""
        self.workspace.set_setting(DEVICE_SETTING, check_device(name))

    def set_plugin_enabled(self, name: str, enabled: bool) -> PluginInfo:
        """As `Engine.set_plugin_enabled`."""
        info = next((plugin for plugin in self.registry.plugins if plugin.name == name), None)
        if info is None:
            raise UnknownName("plugin", name, [plugin.name for plugin in self.registry.plugins])
        disabled = set(self.workspace.setting(DISABLED_SETTING, []))
        disabled = disabled - {name} if enabled else disabled | {name}
        self.workspace.set_setting(DISABLED_SETTING, sorted(disabled))
        return info

    def dataset(self, reference: str) -> Dataset:
        """The data set of a name or fingerprint, from memory or from the disk."""
        record = self.workspace.resolve_dataset(reference)
        return self._datasets.get(record.fingerprint, lambda: self._load_dataset(record))

    def _load_dataset(self, record: DatasetRecord) -> Dataset:
        from recsys_desktop.data import load_dataset

        return load_dataset(self.workspace.folder_of(record))

    def roles_of(self, fingerprint: str | None) -> dict[str, Role]:
        """Column -> role of the interaction files that a data set was imported from; empty where it is not here."""
        from recsys_desktop.data import FileKind, parse_role

        record = next((data for data in self.workspace.datasets() if data.fingerprint == fingerprint), None)
        files = [] if record is None else record.extra.get("report", {}).get("files", [])
        return {
            column: parse_role(column, role)
            for file in files
            if file["kind"] == FileKind.INTERACTIONS.value
            for column, role in file["roles"].items()
        }

    def statistics(self, reference: str) -> DatasetStatistics:
        """The statistics of a data set."""
        from recsys_desktop.data import describe

        record = self.workspace.resolve_dataset(reference)
        return self._statistics.get(record.fingerprint, lambda: describe(self.dataset(record.fingerprint)))

    def delete_dataset(self, reference: str) -> DatasetRecord:
        """As `Engine.delete_dataset`."""
        record = self.workspace.resolve_dataset(reference)
        self.workspace.delete_dataset(record)
        self._datasets.forget(record.fingerprint)
        self._models.forget()
        return record

    def split(self, dataset: Dataset, splitter: str, params: Mapping[str, Any], seed: int) -> Split:
        """Divide data by a splitter's id."""
        try:
            spec = self.registry.splitters[splitter]
        except KeyError:
            raise UnknownName("split", splitter, self.registry.splitters) from None
        return spec.split(dataset, spec.params.parse(params), seed)

    def served(self, reference: str) -> ServedModel:
        """As `Engine.model`."""
        from recsys_desktop.engine.serving import load_served

        record = self.workspace.resolve_model(reference)
        # Who names a version or an id wants that one; a bare name is served by any version that works.
        any_version = reference.strip() == record.name
        return self._models.get((record.id, any_version), lambda: load_served(self, record, any_version))

    def activate(self, reference: str) -> ModelRecord:
        """As `Engine.activate`."""
        return self.workspace.activate_model(self.workspace.resolve_model(reference))

    def delete_model(self, reference: str) -> ModelRecord:
        """As `Engine.delete`."""
        record = self.workspace.resolve_model(reference)
        self.workspace.delete_model(record)
        self._models.forget()
        return record

    def export_model(self, reference: str, path: Path) -> Path:
        """As `Engine.export_model`."""
        return export_model(self.workspace, self.workspace.resolve_model(reference), path)

    def import_model(self, path: Path) -> ModelRecord:
        """As `Engine.import_model`."""
        return import_model(self.workspace, path)


def capped_threads(wanted: int | None) -> int:
    """`wanted`, within 1 and what the machine has; at most `MOST_THREADS` where nobody wants a number."""
    present = os.cpu_count() or 1
    return min(present, MOST_THREADS) if wanted is None else max(1, min(int(wanted), present))


def plugins_of(path: Path | str | None, safe_mode: bool = False) -> Registry:
    """The plugins as the workspace in `path` has them, without opening it for writing; where there is none, all."""
    folder = workspace_folder(path)
    try:
        with Workspace.open(folder, "read") as workspace:
            disabled = frozenset(workspace.setting(DISABLED_SETTING, []))
    except WorkspaceError:
        disabled = frozenset()
    return Registry.discover(folder / PLUGINS_FOLDER, disabled, safe_mode)
