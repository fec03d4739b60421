"""Join interactions and side tables: one vocabulary, and feature columns in its order."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from recsys_desktop.api.features import Column
from recsys_desktop.data.findings import Findings
from recsys_desktop.data.interactions import Interactions
from recsys_desktop.data.side_tables import SideTable, feature_columns

if TYPE_CHECKING:
    import pyarrow as pa


def compact(rows: Interactions, side: str) -> pa.Array:
    """Renumber the codes of one side without gaps, in order, and return the ids that are left."""
    import pyarrow as pa

    codes = rows.users if side == "user" else rows.items
    ids = rows.user_ids if side == "user" else rows.item_ids
    used = np.zeros(len(ids), dtype=np.bool_)
    used[codes] = True
    if used.all():
        return ids
    renumbered = (np.cumsum(used) - 1).astype(np.int32)
    ids = ids.filter(pa.array(used))
    if side == "user":
        rows.users, rows.user_ids = renumbered[codes], ids
    else:
        rows.items, rows.item_ids = renumbered[codes], ids
    return ids


def extended(ids: pa.Array, tables: Sequence[SideTable]) -> pa.Array:
    """`ids`, then the ids that only the side tables have, in their order."""
    import pyarrow as pa

    return pa.concat_arrays([ids, *(table.ids for table in tables)]).unique() if tables else ids


def gather_features(
    tables: Sequence[SideTable], ids: pa.Array, standardise: bool, findings: Findings
) -> dict[str, Column]:
    """The columns of all side tables, one row for each id; a name that two tables have gets its file added."""
    import pyarrow.compute as pc

    columns: dict[str, Column] = {}
    for table in tables:
        codes = pc.fill_null(pc.index_in(table.ids, value_set=ids), -1).to_numpy().astype(np.int32)
        found, problems = feature_columns(table, codes, len(ids), standardise)
        findings.problems.extend((*table.problems, *problems))
        for name, column in found.items():
            chosen = name if name not in columns else f"{name} ({Path(table.name).stem})"
            columns[chosen] = column
    return columns
