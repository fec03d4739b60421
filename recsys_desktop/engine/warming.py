"""Warming: what a process pays once (imports, compiled kernels) is paid on a tiny excerpt, before a fit is measured."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from recsys_desktop.api.algorithm import AlgorithmSpec
from recsys_desktop.api.dataset import Dataset
from recsys_desktop.api.params import Params
from recsys_desktop.api.vocabulary import Vocabulary
from recsys_desktop.engine.runs import EngineRun

logger = logging.getLogger(__name__)

EXCERPT_USERS = 40
EXCERPT_ITEMS = 30

_done: set[str] = set()
"""What this process has warmed up: one entry for an algorithm, its parameters and the columns of the data."""
_guard = threading.Lock()


def warm_up(
    spec: AlgorithmSpec, params: Params, train: Dataset, fit: Callable[[Dataset], object], run: EngineRun
) -> None:
    """Call `fit` with an excerpt of `train` where this process has not yet done so for such a fit; `run` says so.

    Its failure counts for nothing: an algorithm may be undefined on so little, and what is wrong with it the fit to the
    whole data reports. Where the run is stopped meanwhile it is not done, and the next such fit does it.
    """
    columns = [getattr(train, name) is not None for name in ("ratings", "weights", "timestamps", "events")]
    key = json.dumps([spec.implementation, params.to_dict(), columns], sort_keys=True)
    with _guard:
        if key in _done:
            return
        _done.add(key)
    try:
        with run.saying("Compiling, once"):
            fit(excerpt(train))
    except Exception:
        logger.debug("'%s' could not be warmed up", spec.id, exc_info=True)
    if run.should_stop:
        with _guard:
            _done.discard(key)


def excerpt(train: Dataset) -> Dataset:
    """The interactions of a few people with a few items, in vocabularies of these alone; the same columns as `train`.

    The people are those with the lowest codes who have interactions, the items those that these chose most.
    """
    users = np.flatnonzero(train.user_counts)[:EXCERPT_USERS]
    rows = np.flatnonzero(np.isin(train.users, users))
    counts = np.bincount(train.items[rows], minlength=train.n_items)
    items = np.sort(np.argsort(-counts, kind="stable")[:EXCERPT_ITEMS])
    rows = rows[np.isin(train.items[rows], items)]
    part = train.subset(rows)
    return replace(
        part,
        user_vocabulary=_picked(train.user_vocabulary, users),
        item_vocabulary=_picked(train.item_vocabulary, items),
        users=np.searchsorted(users, part.users).astype(np.int32),
        items=np.searchsorted(items, part.items).astype(np.int32),
        user_features=train.user_features.take(users),
        item_features=train.item_features.take(items),
    )


def _picked(vocabulary: Vocabulary, codes: npt.NDArray[np.int64]) -> Vocabulary:
    return Vocabulary(vocabulary[code] for code in codes.tolist())
