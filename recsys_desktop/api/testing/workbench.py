"""What every check of the kit stands on: the algorithm under test, its fits (made once), and plain failure texts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, TypeVar

import numpy as np
import numpy.typing as npt

from recsys_desktop.api.algorithm import AlgorithmSpec, Capabilities, Serves
from recsys_desktop.api.dataset import Dataset, DataShape
from recsys_desktop.api.query import Query
from recsys_desktop.api.recommender import Recommender
from recsys_desktop.api.testing import made_data
from recsys_desktop.api.testing.kit_run import KitRun
from recsys_desktop.api.testing.measure import Measurement

Check = TypeVar("Check", bound=Callable[..., None])


def hold(promise: object, text: str) -> None:
    """Fail with `text` unless the promise is kept."""
    __tracebackhide__ = True
    if not promise:
        raise AssertionError(text)


def must_raise(error: type[Exception], action: Callable[[], object], text: str) -> Exception:
    """Fail with `text` unless `action` raises `error`, which is returned; other exceptions pass through."""
    __tracebackhide__ = True
    try:
        action()
    except error as raised:
        return raised
    raise AssertionError(text)


def concerns(applies: Callable[[type[Workbench]], bool]) -> Callable[[Check], Check]:
    """Collect a check only for algorithms for which `applies` says so; others neither run nor skip it."""

    def mark(check: Check) -> Check:
        check.__dict__["_applies"] = applies
        return check

    return mark


def tolerance(scores: npt.NDArray[Any], share: float = 1e-4) -> float:
    """`share` of the largest score in magnitude, or `share` itself where that is below 1."""
    finite = np.abs(scores[np.isfinite(scores)])
    return share * max(1.0, float(finite.max(initial=0.0)))


def differ(first: npt.NDArray[Any], second: npt.NDArray[Any], share: float = 1e-4) -> str:
    """How two arrays of scores differ, in words; empty where they agree within `tolerance` and have the same NaN."""
    if first.shape != second.shape:
        return f"shapes {first.shape} and {second.shape}"
    if (np.isnan(first) != np.isnan(second)).any():
        return f"{int((np.isnan(first) != np.isnan(second)).sum())} scores are NaN in one and not in the other"
    gap = np.abs(np.nan_to_num(first) - np.nan_to_num(second)).max(initial=0.0)
    return f"largest difference {gap:.3g}" if gap > tolerance(first, share) else ""


class Workbench:
    """The settings that a test class may give, and the fits that its checks share.

    spec: the algorithm under test. params: values that differ from the defaults, say fewer epochs. members: the
    algorithms that a hybrid fits. personalised: false for an algorithm that orders items alike for all whom it serves
    (a bias model); by default everything but `Serves.EVERYONE` is. dimension: the parameter that sets the dimension of
    embeddings, "" where none does. spec_module: the module that defines the spec, where
    it cannot be found among those imported. forecast_shapes: two sizes of data for the check of `estimate`, where those
    that the kit chooses do not suit; forecast_params: values for that check, by default `params`.
    """

    spec: ClassVar[AlgorithmSpec]
    params: ClassVar[Mapping[str, Any]] = {}
    members: ClassVar[Sequence[AlgorithmSpec]] = ()
    personalised: ClassVar[bool | None] = None
    dimension: ClassVar[str] = "factors"
    spec_module: ClassVar[str] = ""
    forecast_shapes: ClassVar[Sequence[DataShape]] = ()
    forecast_params: ClassVar[Mapping[str, Any] | None] = None

    _fits: ClassVar[dict[Any, Recommender]]
    _measurements: ClassVar[dict[bool, list[Measurement]]]

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls._fits, cls._measurements = {}, {}
        if not hasattr(cls, "spec"):
            return
        for name in dir(cls):
            applies = getattr(getattr(cls, name), "_applies", None)
            if applies is not None and not applies(cls):
                setattr(cls, name, None)

    @classmethod
    def capabilities(cls) -> Capabilities:
        """What the algorithm under test declares."""
        return cls.spec.capabilities

    @classmethod
    def is_personalised(cls) -> bool:
        """Whether different people may get differently ordered lists."""
        if cls.personalised is not None:
            return cls.personalised
        return cls.spec.capabilities.serves is not Serves.EVERYONE

    @property
    def train(self) -> Dataset:
        """The data of most checks: two communities with every kind of column."""
        return made_data.communities().train

    @property
    def test(self) -> Dataset:
        """What was set aside of it."""
        return made_data.communities().test

    @property
    def model(self) -> Recommender:
        """The algorithm fitted on `train`; checks must not change it."""
        return self.fitted(self.train)

    def everyone(self, data: Dataset | None = None) -> Query:
        """All users of `data` (by default `train`) with their histories."""
        chosen = self.train if data is None else data
        return Query.of_users(chosen, np.arange(chosen.n_users))

    def active(self, data: Dataset | None = None) -> Query:
        """The users of `data` (by default `train`) who have a history."""
        chosen = self.train if data is None else data
        return Query.of_users(chosen, np.flatnonzero(chosen.user_counts > 0))

    def run(self, **options: Any) -> KitRun:
        """A fresh run; options as `KitRun`."""
        return KitRun(members=[self.spec, *self.members], **options)

    def new_model(self) -> Recommender:
        """A fresh, unfitted model with the test's parameters."""
        return self.spec.load()(self.spec.params.parse(self.params))

    def fit(self, data: Dataset, **options: Any) -> Recommender:
        """A fresh fit; options as `KitRun`."""
        return self.new_model().fit(data, self.run(**options))

    def fitted(self, data: Dataset) -> Recommender:
        """A fit that checks share, made at the first call."""
        key = data.fingerprint
        if key not in self._fits:
            self._fits[key] = self.fit(data)
        return self._fits[key]

    def resolve(self, algorithm: str) -> AlgorithmSpec:
        """The spec of an id, for loading."""
        return {spec.id: spec for spec in (*self.members, self.spec)}[algorithm]
