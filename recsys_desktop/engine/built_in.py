"""What the application itself brings in the place of a plugin: readers, splitters, ranking metrics."""

from __future__ import annotations

from typing import Any


def built_in_extensions() -> dict[str, dict[str, Any]]:
    """kind ("reader", "splitter", "metric") -> id -> spec, in the order of listing."""
    from recsys_desktop.data.readers.built_in import BUILT_IN_READERS
    from recsys_desktop.data.splits import SPLITTERS
    from recsys_desktop.evaluation import BEYOND_ACCURACY_METRICS, RANKING_METRICS

    return {
        "reader": {spec.id: spec for spec in BUILT_IN_READERS},
        "splitter": {spec.id: spec for spec in SPLITTERS},
        "metric": {**RANKING_METRICS, **BEYOND_ACCURACY_METRICS},
    }
