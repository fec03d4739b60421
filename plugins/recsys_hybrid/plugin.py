"""What this package brings: its algorithms as light specifications."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pydantic import ValidationInfo, field_validator

from recsys_desktop.api import AlgorithmSpec, Capabilities, Family, Params, Serves, hookimpl, param


class WeightedHybridParams(Params):
    """Parameters of the weighted hybrid."""

    members: tuple[str, ...] = param(
        ("ease", "ials", "item-knn"),
        help="Ids of the algorithms that are combined; add one that knows something else, such as 'content'.",
    )
    member_params: tuple[str, ...] = param(
        (),
        label="Parameters of members",
        help="Values that differ from a member's defaults, each as member.parameter=value: ease.regularisation=300.",
    )
    weights: tuple[int, ...] = param(
        (),
        help="How much each member counts, in their order, as whole numbers of which only the proportions matter; "
        "empty learns them from a tenth of everybody's interactions.",
    )

    @field_validator("members")
    @classmethod
    def _check_members(cls, members: tuple[str, ...]) -> tuple[str, ...]:
        if not members:
            raise ValueError("name at least one algorithm")
        for member in members:
            if not re.fullmatch(r"[a-z0-9-]+", member):
                raise ValueError(f"'{member}' is not the id of an algorithm, such as ease")
        if len(set(members)) < len(members):
            raise ValueError("an algorithm is named twice")
        return members

    @field_validator("member_params")
    @classmethod
    def _check_member_params(cls, values: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        members = info.data.get("members", ())
        for text in values:
            name, equals, _ = text.partition("=")
            member, dot, parameter = name.strip().partition(".")
            if not (equals and dot and parameter):
                raise ValueError(f"'{text}' is not member.parameter=value, such as ease.regularisation=300")
            if members and member not in members:
                raise ValueError(f"'{text}' speaks of '{member}', which is no member (members: {', '.join(members)})")
        return values

    @field_validator("weights")
    @classmethod
    def _check_weights(cls, weights: tuple[int, ...], info: ValidationInfo) -> tuple[int, ...]:
        members = info.data.get("members", ())
        if not weights:
            return weights
        if members and len(weights) != len(members):
            raise ValueError(f"give one weight for each of the {len(members)} members, or none to learn them")
        if min(weights) < 0 or max(weights) == 0:
            raise ValueError("weights are 0 or more, and at least one is above 0")
        return weights

    def of_member(self, member: str) -> dict[str, str]:
        """The values given for a member's parameters, as text by name."""
        found = {}
        for text in self.member_params:
            name, _, value = text.partition("=")
            owner, _, parameter = name.strip().partition(".")
            if owner == member:
                found[parameter] = value.strip()
        return found


WEIGHTED_HYBRID = AlgorithmSpec(
    id="weighted-hybrid",
    name="Weighted hybrid",
    family=Family.HYBRID,
    summary="Several algorithms in one list, each trusted as far as it has shown on your data.",
    implementation="recsys_hybrid.weighted:WeightedHybrid",
    params=WeightedHybridParams,
    capabilities=Capabilities(serves=Serves.HISTORY, explains=True, additive=True, randomised=True),
    paper="Burke, Hybrid Recommender Systems: Survey and Experiments, UMUAI 12, 2002, section 2.1",
)


@hookimpl
def recsys_desktop_algorithms() -> Sequence[AlgorithmSpec]:
    """The algorithms of this package."""
    return (WEIGHTED_HYBRID,)
