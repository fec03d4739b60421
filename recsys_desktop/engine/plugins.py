"""Plugins: found, loaded and asked one by one, so that a broken one costs nothing but itself."""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import logging
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

import pluggy

from recsys_desktop.api import hooks
from recsys_desktop.api.algorithm import AlgorithmSpec, Family
from recsys_desktop.api.extensions import MetricSpec, PanelSpec, ReaderSpec, SplitterSpec
from recsys_desktop.api.params import Params
from recsys_desktop.api.version import API_VERSION
from recsys_desktop.engine.built_in import built_in_extensions
from recsys_desktop.engine.errors import UnknownName
from recsys_desktop.engine.plain import PlainData

logger = logging.getLogger(__name__)

GROUP = "recsys_desktop"
DISTRIBUTION = "recsys-desktop"
API_ATTRIBUTE = "RECSYS_DESKTOP_API"
DISABLED_SETTING = "plugins.disabled"

Extension = TypeVar("Extension")

_KINDS: Mapping[str, tuple[str, type | None]] = {
    "recsys_desktop_algorithms": ("algorithm", AlgorithmSpec),
    "recsys_desktop_metrics": ("metric", MetricSpec),
    "recsys_desktop_readers": ("reader", ReaderSpec),
    "recsys_desktop_splitters": ("splitter", SplitterSpec),
    "recsys_desktop_panels": ("panel", PanelSpec),
    "recsys_desktop_run_observers": ("run observer", None),
}
_OBSERVER_METHODS = ("run_started", "run_logged", "run_finished")


@dataclass(frozen=True)
class PluginInfo(PlainData):
    """A plugin as it is listed.

    name: of the entry point, file or folder. origin: "shipped", "package" (somebody else's distribution) or "folder"
    (dropped into the workspace). source: distribution or path. enabled: false where a person or safe mode switched it
    off. error: what is wrong with it, in words, empty where nothing is; details: the traceback. provides: kind -> ids.
    """

    name: str
    version: str
    origin: str
    source: str
    enabled: bool = True
    error: str = ""
    details: str = field(default="", repr=False)
    provides: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class _Candidate:
    name: str
    version: str
    origin: str
    source: str
    load: Callable[[], Any]


class _Problems:
    """What went wrong with one plugin, for the person and for the log."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.sentences: list[str] = []
        self.details: list[str] = []

    def add(self, sentence: str, error: BaseException | None = None) -> None:
        self.sentences.append(sentence)
        if error is not None:
            self.details.append("".join(traceback.format_exception(error)))
        logger.warning("Plugin %s: %s", self.name, sentence, exc_info=error)


class Registry:
    """Everything that the plugins bring, by id. The first to bring an id has it; who comes second is told.

    Attributes
    ----------
    algorithms: id -> AlgorithmSpec, in the order of families, within one as the plugins list them.
    metrics, readers, splitters, panels: id -> spec, the application's own first.
    observers: run observers. plugins: a PluginInfo for each, broken and disabled ones included.
    """

    def __init__(self) -> None:
        self.plugins: tuple[PluginInfo, ...] = ()
        self.observers: tuple[Any, ...] = ()
        self._found: dict[str, dict[str, Any]] = {kind: {} for kind, _ in _KINDS.values()}
        self._owners: dict[tuple[str, str], str] = {}

    @classmethod
    def discover(
        cls,
        folder: Path | None = None,
        disabled: frozenset[str] = frozenset(),
        safe_mode: bool = False,
        extra: Mapping[str, Any] | None = None,
    ) -> Registry:
        """Find and ask every plugin: entry points of the group `recsys_desktop`, then files and packages in `folder`.

        disabled: names that are not loaded. safe_mode: nothing but what is shipped. extra: name -> plugin object,
        loaded last, in safe mode too (for tests and scripts).
        """
        registry = cls()
        for kind, extensions in built_in_extensions().items():
            registry._found[kind].update(extensions)
            registry._owners.update({(kind, name): "built in" for name in extensions})
        candidates = sorted(_entry_points(), key=lambda one: (one.origin != "shipped",))
        if folder is not None:
            candidates.extend(_dropped_in(folder))
        for name, plugin in (extra or {}).items():
            candidates.append(_Candidate(name, "", "object", type(plugin).__name__, partial(_itself, plugin)))
        registry.plugins = tuple(
            registry._load(one)
            if one.name not in disabled and not (safe_mode and one.origin in ("package", "folder"))
            else PluginInfo(one.name, one.version, one.origin, one.source, enabled=False)
            for one in candidates
        )
        return registry

    @cached_property
    def algorithms(self) -> Mapping[str, AlgorithmSpec]:
        """id -> AlgorithmSpec, in the order of families."""
        order = list(Family)
        specs = sorted(self._found["algorithm"].values(), key=lambda spec: order.index(spec.family))
        return MappingProxyType({spec.id: spec for spec in specs})

    @cached_property
    def metrics(self) -> Mapping[str, MetricSpec]:
        """id -> ranking metric."""
        return MappingProxyType(self._found["metric"])

    @cached_property
    def readers(self) -> Mapping[str, ReaderSpec]:
        """id -> reader."""
        return MappingProxyType(self._found["reader"])

    @cached_property
    def splitters(self) -> Mapping[str, SplitterSpec]:
        """id -> splitter."""
        return MappingProxyType(self._found["splitter"])

    @cached_property
    def panels(self) -> Mapping[str, PanelSpec]:
        """id -> page of the window."""
        return MappingProxyType(self._found["panel"])

    @property
    def problems(self) -> tuple[PluginInfo, ...]:
        """The plugins with which something is wrong."""
        return tuple(plugin for plugin in self.plugins if plugin.error)

    def spec(self, algorithm: str) -> AlgorithmSpec:
        """The AlgorithmSpec of an id.

        Raises
        ------
        UnknownName: no plugin brings it; also names the plugins that are broken or switched off.
        """
        try:
            return self.algorithms[algorithm]
        except KeyError:
            advice = "see: recsys-desktop algorithms"
            raise UnknownName("algorithm", algorithm, self.algorithms, advice, self._absent()) from None

    def _absent(self) -> str:
        """What to know of the plugins whose algorithms are not here; empty where all are."""
        broken = [
            f"plugin '{plugin.name}' is broken ({plugin.error.rstrip('.')})" for plugin in self.plugins if plugin.error
        ]
        off = [f"plugin '{plugin.name}' is switched off" for plugin in self.plugins if not plugin.enabled]
        return "; ".join(broken + off)

    def _load(self, candidate: _Candidate) -> PluginInfo:
        problems = _Problems(candidate.name)
        provides: dict[str, tuple[str, ...]] = {}
        plugin = _attempt(problems, "it cannot be loaded", candidate.load)
        if plugin is not None and _speaks_our_version(plugin, problems):
            manager = _manager()
            if _attempt(problems, "it cannot be registered", lambda: manager.register(plugin, candidate.name)):
                _report_misspelt_hooks(manager, plugin, problems)
                for hook, (kind, expected) in _KINDS.items():
                    ids = self._ask(manager, hook, kind, expected, candidate.name, problems)
                    if ids:
                        provides[kind] = ids
        return PluginInfo(
            candidate.name,
            candidate.version,
            candidate.origin,
            candidate.source,
            True,
            "; ".join(problems.sentences),
            "\n".join(problems.details),
            provides,
        )

    def _ask(
        self,
        manager: pluggy.PluginManager,
        hook: str,
        kind: str,
        expected: type | None,
        plugin: str,
        problems: _Problems,
    ) -> tuple[str, ...]:
        answers = _attempt(problems, f"{hook} failed", lambda: list(getattr(manager.hook, hook)()))
        accepted: list[str] = []
        for answer in answers or ():
            if not isinstance(answer, list | tuple):
                problems.add(f"{hook} must return a list or tuple, not {type(answer).__name__}")
                continue
            for extension in answer:
                if expected is None:
                    name = self._accept_observer(extension, problems)
                else:
                    name = self._accept(kind, expected, extension, plugin, problems)
                if name:
                    accepted.append(name)
        return tuple(accepted)

    def _accept_observer(self, observer: Any, problems: _Problems) -> str:
        missing = [method for method in _OBSERVER_METHODS if not callable(getattr(observer, method, None))]
        if missing:
            problems.add(f"the run observer {type(observer).__name__} lacks {', '.join(missing)}")
            return ""
        self.observers = (*self.observers, observer)
        return type(observer).__name__

    def _accept(self, kind: str, expected: type, extension: Any, plugin: str, problems: _Problems) -> str:
        if not isinstance(extension, expected):
            problems.add(f"a {kind} must be {expected.__name__}, not {type(extension).__name__}")
            return ""
        name: str = extension.id  # type: ignore[attr-defined]
        if isinstance(extension, AlgorithmSpec | SplitterSpec) and not _params_are_sound(kind, extension, problems):
            return ""
        if isinstance(extension, AlgorithmSpec) and not isinstance(extension.family, Family):
            problems.add(f"algorithm '{name}': family {extension.family!r} is not one of {', '.join(Family)}")
            return ""
        if name in self._found[kind]:
            problems.add(
                f"the {kind} id '{name}' is taken by the plugin '{self._owners[kind, name]}', which came first"
            )
            return ""
        self._found[kind][name] = extension
        self._owners[kind, name] = plugin
        return name


def _params_are_sound(kind: str, extension: AlgorithmSpec | SplitterSpec, problems: _Problems) -> bool:
    params = extension.params
    if not (isinstance(params, type) and issubclass(params, Params)):
        problems.add(f"{kind} '{extension.id}': params must be a class derived from Params")
        return False

    def build() -> bool:
        params()
        params.describe()
        return True

    return bool(_attempt(problems, f"{kind} '{extension.id}': its default parameters are not valid", build))


def _itself(plugin: Any) -> Any:
    return plugin


def _attempt(problems: _Problems, what: str, action: Callable[[], Extension]) -> Extension | None:
    try:
        return action()
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - plugins raise anything, SystemExit included
        problems.add(f"{what}: {_in_words(error)}", error)
        return None


def _in_words(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _manager() -> pluggy.PluginManager:
    manager = pluggy.PluginManager(hooks.PROJECT)
    manager.add_hookspecs(hooks)
    return manager


def _report_misspelt_hooks(manager: pluggy.PluginManager, plugin: Any, problems: _Problems) -> None:
    try:
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        pending = sorted(
            name
            for name in vars(manager.hook)
            if not name.startswith("_") and not getattr(manager.hook, name).has_spec()
        )
        problems.add(
            f"it has a hook that does not exist ({', '.join(pending)}); the hooks are: {', '.join(_KINDS)}", error
        )
    registered = {caller.name for caller in manager.get_hookcallers(plugin) or ()}
    for name in dir(plugin):
        if name in _KINDS and callable(getattr(plugin, name)) and name not in registered:
            problems.add(f"the function {name} is not marked with @hookimpl and is never called")


def _speaks_our_version(plugin: Any, problems: _Problems) -> bool:
    wanted = getattr(plugin, API_ATTRIBUTE, API_VERSION)
    major, _, minor = str(wanted).partition(".")
    our_major, _, our_minor = API_VERSION.partition(".")
    if not (major.isdigit() and (minor or "0").isdigit()):
        problems.add(f"{API_ATTRIBUTE} is {wanted!r}; it should read like {API_VERSION!r}")
        return False
    if int(major) != int(our_major) or int(minor or 0) > int(our_minor):
        problems.add(
            f"it was written for version {wanted} of the plugin contract; this application speaks {API_VERSION}"
        )
        return False
    return True


def _entry_points() -> Iterator[_Candidate]:
    seen: set[tuple[str, str]] = set()
    for point in importlib.metadata.entry_points(group=GROUP):
        if (point.name, point.value) in seen:
            continue
        seen.add((point.name, point.value))
        distribution = point.dist
        name = "" if distribution is None else distribution.metadata["Name"]
        version = "" if distribution is None else distribution.version
        shipped = name.lower().replace("_", "-") == DISTRIBUTION
        yield _Candidate(point.name, version, "shipped" if shipped else "package", name, point.load)


def _dropped_in(folder: Path) -> list[_Candidate]:
    if not folder.is_dir():
        return []
    found = []
    for path in sorted(folder.iterdir()):
        if path.name.startswith((".", "_")):
            continue
        if path.is_file() and path.suffix == ".py":
            found.append(_Candidate(path.stem, "", "folder", str(path), partial(_import_file, path)))
        elif (path / "__init__.py").is_file():
            found.append(_Candidate(path.name, "", "folder", str(path), partial(_import_package, path)))
    return found


def _import_file(path: Path) -> Any:
    place = hashlib.blake2b(str(path).encode(), digest_size=4).hexdigest()
    return _import(f"recsys_desktop_dropped_in_{path.stem}_{place}", path, None)


def _import_package(path: Path) -> Any:
    package = _import(path.name, path / "__init__.py", [str(path)])
    if (path / "plugin.py").is_file():
        return importlib.import_module(f"{path.name}.plugin")
    return package


def _import(name: str, file: Path, search: list[str] | None) -> Any:
    """Import one file under `name` without touching `sys.path`, so that a dropped-in file shadows no library."""
    present = sys.modules.get(name)
    if present is not None:
        if getattr(present, "__file__", None) == str(file):
            return present
        raise ImportError(f"the name '{name}' belongs to another module already; rename {file}")
    if search is not None and importlib.util.find_spec(name) is not None:
        raise ImportError(f"the name '{name}' belongs to an installed package; rename {file.parent}")
    spec = importlib.util.spec_from_file_location(name, file, submodule_search_locations=search)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
