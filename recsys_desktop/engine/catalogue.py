"""The catalogue: titles, attributes, filters and searches over the items and users of a data set."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from recsys_desktop.api.dataset import Bool, Dataset
from recsys_desktop.api.features import CategoryColumn, Column, NumericColumn, TagsColumn, TextColumn
from recsys_desktop.api.query import ConstraintValue
from recsys_desktop.api.roles import Role
from recsys_desktop.engine.errors import Misuse, UnknownName
from recsys_desktop.engine.results import FilterColumn, HistoryItem, ItemMatch, UserMatch


def title(dataset: Dataset, item: int) -> str:
    """The title of an item (code), or its id where it has none."""
    titles = dataset.item_features.titles
    return str(titles[item]) if titles is not None and titles[item] else dataset.item_vocabulary[item]


def attributes(dataset: Dataset, item: int) -> dict[str, Any]:
    """The item's columns that have a value, without its title."""
    found = dict(dataset.item_features.describe(item))
    for name in dataset.item_features.of_role(Role.TITLE):
        found.pop(name, None)
    return found


def item_code(dataset: Dataset, item: str) -> int:
    """The code of an item id. Raises `UnknownName` with near ids."""
    code = dataset.item_vocabulary.code(item)
    if code < 0:
        raise UnknownName(
            "item", item, hint=f"'{dataset.name}' has {dataset.n_items:,} items; ids are text, as in the file"
        )
    return code


def user_code(dataset: Dataset, user: str) -> int:
    """The code of a user id. Raises `UnknownName`."""
    code = dataset.user_vocabulary.code(user)
    if code < 0:
        raise UnknownName(
            "user", user, hint=f"'{dataset.name}' has {dataset.n_users:,} users; for somebody else give a history"
        )
    return code


def filter_columns(dataset: Dataset) -> list[FilterColumn]:
    """The item columns that a list can be filtered by."""
    found = []
    for name, column in dataset.item_features.columns.items():
        if isinstance(column, CategoryColumn | TagsColumn):
            codes = column.indices if isinstance(column, TagsColumn) else column.codes[column.codes >= 0]
            counts = np.bincount(codes, minlength=len(column.categories))
            order = np.argsort(-counts, kind="stable")
            kind = "tags" if isinstance(column, TagsColumn) else "category"
            found.append(FilterColumn(name, kind, tuple(column.categories[code] for code in order if counts[code])))
        elif isinstance(column, NumericColumn):
            present = column.values[~np.isnan(column.values)]
            if len(present):
                found.append(FilterColumn(name, "number", (), float(present.min()), float(present.max())))
    return found


def allowed_items(dataset: Dataset, filters: Mapping[str, ConstraintValue]) -> Bool | None:
    """bool (n_items,): the items that pass every filter, or None without filters. Missing values never pass.

    A category or a tag passes where it is the value, or one of the values; a number where it is the value or lies
    within (low, high), either of which may be None; a text where it contains the value, whatever the case.

    Raises
    ------
    Misuse: a column does not exist, or the value does not suit its kind.
    """
    if not filters:
        return None
    allowed = np.ones(dataset.n_items, dtype=np.bool_)
    columns = dataset.item_features.columns
    for name, value in filters.items():
        if name not in columns:
            raise UnknownName("item column", name, columns, "the data has no item columns")
        allowed &= _passes(name, columns[name], value)
    return allowed


def _passes(name: str, column: Column, value: ConstraintValue) -> Bool:
    if isinstance(column, NumericColumn):
        low, high = _range(name, value)
        with np.errstate(invalid="ignore"):
            return (column.values >= low) & (column.values <= high)
    wanted = _texts(name, value)
    if isinstance(column, TextColumn):
        folded = [text.casefold() for text in wanted]
        return np.fromiter(
            (any(part in str(text).casefold() for part in folded) for text in column.values), np.bool_, len(column)
        )
    position = {category.casefold(): code for code, category in enumerate(column.categories)}
    unknown = [text for text in wanted if text.casefold() not in position]
    if unknown:
        raise UnknownName(f"value of '{name}'", unknown[0], column.categories)
    chosen = np.zeros(len(column.categories) + 1, dtype=np.bool_)
    chosen[[position[text.casefold()] for text in wanted]] = True
    if isinstance(column, CategoryColumn):
        return chosen[column.codes]
    owner = np.repeat(np.arange(len(column)), np.diff(column.indptr))
    return np.bincount(owner[chosen[column.indices]], minlength=len(column)) > 0


def _range(name: str, value: ConstraintValue) -> tuple[float, float]:
    try:
        if isinstance(value, tuple | list) and len(value) == 2:
            low, high = value
            return (-np.inf if low is None else float(low), np.inf if high is None else float(high))
        return float(value), float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise Misuse(f"the filter '{name}' is a number: give a number or a range, not {value!r}") from None


def _texts(name: str, value: ConstraintValue) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, list | tuple | set | frozenset) and value and all(isinstance(part, str) for part in value):
        return [str(part) for part in value]
    raise Misuse(f"the filter '{name}' is text: give one value or several, not {value!r}")


def search_items(dataset: Dataset, text: str, n: int) -> list[ItemMatch]:
    """As `Engine.search_items`."""
    titles = dataset.item_features.titles
    wanted = text.strip().casefold()
    ids = dataset.item_vocabulary.ids
    if wanted:
        found = np.array(
            [
                code
                for code in range(dataset.n_items)
                if wanted in ids[code].casefold() or (titles is not None and wanted in str(titles[code]).casefold())
            ],
            dtype=np.int64,
        )
    else:
        found = np.arange(dataset.n_items, dtype=np.int64)
    exact = np.array([ids[code].casefold() == wanted for code in found], dtype=np.bool_)
    order = np.lexsort((found, -dataset.item_counts[found], ~exact))[:n]
    return [
        ItemMatch(str(ids[code]), title(dataset, code), int(dataset.item_counts[code]), attributes(dataset, code))
        for code in found[order].tolist()
    ]


def search_users(dataset: Dataset, text: str, n: int) -> list[UserMatch]:
    """As `Engine.search_users`."""
    wanted = text.strip().casefold()
    ids = dataset.user_vocabulary.ids
    matching = (code for code in range(dataset.n_users) if wanted in ids[code].casefold())

    def place(code: int) -> tuple[int, int]:
        folded = ids[code].casefold()
        return (0 if folded == wanted else 1 if folded.startswith(wanted) else 2), code

    found = sorted(matching, key=place)[:n] if wanted else list(range(min(n, dataset.n_users)))
    features = dataset.user_features
    return [
        UserMatch(str(ids[code]), int(dataset.user_counts[code]), features.describe(code) if features.columns else {})
        for code in found
    ]


def history(dataset: Dataset, user: str) -> list[HistoryItem]:
    """As `Engine.history`."""
    code = user_code(dataset, user)
    histories = dataset.histories
    rows = slice(int(histories.indptr[code]), int(histories.indptr[code + 1]))
    entries: list[HistoryItem] = []
    items: npt.NDArray[np.int32] = histories.items[rows]
    for position, item in enumerate(items.tolist()):
        row = rows.start + position
        entries.append(
            HistoryItem(
                dataset.item_vocabulary[item],
                title(dataset, item),
                None if histories.ratings is None else float(histories.ratings[row]),
                None if histories.timestamps is None else int(histories.timestamps[row]),
            )
        )
    return entries[::-1]
