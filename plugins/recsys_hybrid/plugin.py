"""What this package brings: its algorithms as light specifications."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any, Literal

from pydantic import field_validator, model_validator

from recsys_desktop.api import AlgorithmSpec, Capabilities, Family, Params, Serves, TuningRange, hookimpl, param

WEIGHTED_HYBRID_ID = "weighted-hybrid"

_SETTING = re.compile(r"([a-z0-9-]+)\.(\w+)=(.*)", re.DOTALL)


class WeightedHybridParams(Params):
    """Parameters of the weighted hybrid."""

    members: tuple[str, ...] = param(
        ("ease", "ials", "content"),
        help="Ids of the algorithms whose scores are mixed; more of them cover more people and take longer to train.",
    )
    weights: tuple[str, ...] = param(
        (),
        help="One weight for each member, such as 0.5,0.3,0.2; empty learns them on a tenth of the data set aside.",
    )
    member_settings: tuple[str, ...] = param(
        (),
        help="Parameters of members that differ from their defaults, such as ease.regularisation=300.",
        advanced=True,
    )
    normalisation: Literal["z-score", "rank"] = param(
        "z-score",
        help="How members' scores are made alike: by mean and spread over a person's items, or by place in a list.",
        tune=TuningRange(choices=("z-score", "rank")),
    )
    explain_by: Literal["members", "history"] = param(
        "history",
        help="Whether explanations say which member speaks for an item, or which items of the history do.",
        advanced=True,
    )

    @field_validator("members")
    @classmethod
    def _distinct_members(cls, members: tuple[str, ...]) -> tuple[str, ...]:
        if not members:
            raise ValueError("name at least one algorithm")
        if len(set(members)) < len(members):
            raise ValueError("each algorithm is named once")
        if WEIGHTED_HYBRID_ID in members:
            raise ValueError("a hybrid cannot be its own member")
        return members

    @field_validator("weights")
    @classmethod
    def _usable_weights(cls, weights: tuple[str, ...]) -> tuple[str, ...]:
        values = []
        for text in weights:
            try:
                values.append(float(text))
            except ValueError:
                raise ValueError(f"'{text}' is not a number") from None
        if any(not math.isfinite(value) or value < 0 for value in values) or (values and sum(values) == 0):
            raise ValueError("weights are numbers from 0, not all 0")
        return weights

    @field_validator("member_settings")
    @classmethod
    def _readable_settings(cls, settings: tuple[str, ...]) -> tuple[str, ...]:
        for text in settings:
            if not _SETTING.fullmatch(text):
                raise ValueError(f"'{text}' is not member.parameter=value")
        return settings

    @model_validator(mode="after")
    def _of_members(self) -> WeightedHybridParams:
        if self.weights and len(self.weights) != len(self.members):
            raise ValueError(f"{len(self.weights)} weights are given for {len(self.members)} members")
        for member in self.settings():
            if member not in self.members:
                raise ValueError(f"member_settings speaks of '{member}', which is no member")
        return self

    def settings(self) -> dict[str, dict[str, Any]]:
        """By member, the parameters that differ from its defaults, as text."""
        found: dict[str, dict[str, Any]] = {}
        for text in self.member_settings:
            match = _SETTING.fullmatch(text)
            assert match is not None
            member, name, value = match.groups()
            found.setdefault(member, {})[name] = value
        return found


WEIGHTED_HYBRID = AlgorithmSpec(
    id=WEIGHTED_HYBRID_ID,
    name="Weighted hybrid",
    family=Family.HYBRID,
    summary="Mixes the scores of several algorithms, with weights learnt on data set aside; the strengths of each.",
    implementation="recsys_hybrid.weighted:WeightedHybrid",
    params=WeightedHybridParams,
    capabilities=Capabilities(
        serves=Serves.FOLD_IN,
        uses_text=True,
        uses_features=True,
        scores_new_items=True,
        explains=True,
        additive=True,
        randomised=True,
    ),
    paper="Burke, Hybrid Recommender Systems: Survey and Experiments, User Modeling and User-Adapted Interaction, 2002",
)


@hookimpl
def recsys_desktop_algorithms() -> Sequence[AlgorithmSpec]:
    """The algorithms of this package."""
    return (WEIGHTED_HYBRID,)
