"""Checks of an algorithm's specification and parameters."""

from __future__ import annotations

import math
from typing import Any

from recsys_desktop.api.algorithm import Serves
from recsys_desktop.api.errors import InvalidParameter
from recsys_desktop.api.params import ParamField
from recsys_desktop.api.testing.workbench import Workbench, hold, must_raise


class ParameterChecks(Workbench):
    """The specification is complete and consistent; parameters are described, and refused by name when wrong."""

    def test_specification_loads_its_implementation(self) -> None:
        implementation = self.spec.load()
        hold(
            implementation.spec == self.spec,
            f"{self.spec.implementation} carries another spec than the one under test: its class attribute `spec` "
            f"must be the listed one",
        )
        hold(self.spec.name.strip(), "the spec has no name")
        hold(
            self.spec.summary.strip() and "\n" not in self.spec.summary.strip(),
            "the spec's summary must be one line that says what the algorithm is good for",
        )

    def test_capabilities_are_consistent(self) -> None:
        capabilities, needs = self.spec.capabilities, self.spec.needs
        hold(
            capabilities.ranks or capabilities.predicts_ratings,
            "the algorithm neither ranks nor predicts ratings: it answers nothing",
        )
        for name in ("additive", "faithful_to_removal"):
            hold(
                capabilities.explains or not getattr(capabilities, name),
                f"`{name}` speaks of explanations, but `explains` is not declared",
            )
        hold(capabilities.uses_ratings or not needs.ratings, "the algorithm needs ratings but does not use them")
        hold(
            capabilities.uses_timestamps or not needs.timestamps, "the algorithm needs timestamps but does not use them"
        )
        hold(
            capabilities.uses_text
            or capabilities.uses_features
            or not (needs.item_content or capabilities.scores_new_items),
            "new items can be scored, or item content is needed, only by an algorithm that declares `uses_text` or "
            "`uses_features`",
        )
        hold(
            not (capabilities.user_embeddings and capabilities.serves is Serves.EVERYONE),
            "an algorithm that gives everyone the same scores has no user embeddings",
        )

    def test_parameters_have_help_and_valid_defaults(self) -> None:
        self.spec.params.parse({})
        for field in self.spec.params.describe():
            hold(
                len(field.help.strip()) > 10,
                f"parameter '{field.name}' has no help: say what raising or lowering it does",
            )
            hold(field.label.strip(), f"parameter '{field.name}' has no label")
            if field.kind == "integer" or (field.kind == "number" and not field.optional):
                hold(
                    field.minimum is not None or field.maximum is not None,
                    f"parameter '{field.name}' has no bounds: declare the values that are valid (ge, gt, le, lt)",
                )

    def test_values_out_of_bounds_are_refused_by_name(self) -> None:
        for field in self.spec.params.describe():
            for value in _wrong_values(field):
                error = must_raise(
                    InvalidParameter,
                    lambda name=field.name, bad=value: self.spec.params.parse({name: bad}),  # type: ignore[misc]
                    f"parameter '{field.name}' accepted {value!r} (valid: {field.bounds_text or field.kind})",
                )
                hold(
                    isinstance(error, InvalidParameter) and error.name == field.name,
                    f"{value!r} for parameter '{field.name}' was refused, but the error names another one: {error}",
                )

    def test_unknown_parameters_are_refused_by_name(self) -> None:
        error = must_raise(
            InvalidParameter,
            lambda: self.spec.params.parse({"no_such_parameter": 1}),
            "a parameter that does not exist was accepted",
        )
        hold("no_such_parameter" in str(error), f"the error does not name the unknown parameter: {error}")

    def test_tuning_ranges_lie_inside_the_validity_range(self) -> None:
        for field in self.spec.params.describe():
            if (tune := field.tune) is None:
                continue
            ends = [value for value in (tune.low, tune.high) if value is not None]
            for value in (*ends, *tune.choices):
                try:
                    self.spec.params.parse({field.name: int(value) if field.kind == "integer" else value})
                except InvalidParameter as error:
                    raise AssertionError(f"tuning tries {value}, which is not valid: {error}") from error
            hold(ends or tune.choices, f"the tuning range of '{field.name}' is empty")
            if len(ends) == 2:
                hold(ends[0] < ends[1], f"the tuning range of '{field.name}' begins at {ends[0]} and ends at {ends[1]}")
            hold(
                not tune.log or (ends and ends[0] > 0),
                f"the tuning range of '{field.name}' is logarithmic, so it must begin above 0",
            )

    def test_parameters_survive_being_written_and_read(self) -> None:
        params = self.new_model().params
        hold(
            self.spec.params.parse(params.to_dict()) == params,
            "`parse` of `to_dict` does not give the same parameters: a saved model could not be loaded",
        )
        for field in self.spec.params.describe():
            default = getattr(self.spec.params(), field.name)
            text = ",".join(map(str, default)) if isinstance(default, tuple) else str(default)
            hold(
                getattr(self.spec.params.parse({field.name: text}), field.name) == default,
                f"parameter '{field.name}' does not read its own default as text ('{text}'), as a flag gives it",
            )


def _wrong_values(field: ParamField) -> list[Any]:
    wrong: list[Any] = [] if field.optional else [None]
    kinds: dict[str, list[Any]] = {
        "integer": ["many", 1.5],
        "number": ["much", math.nan, math.inf],
        "boolean": ["perhaps"],
        "choice": ["no such choice"],
        "integers": ["three,four"],
    }
    wrong.extend(kinds.get(field.kind, []))
    whole = field.kind == "integer"
    if field.minimum is not None:
        low = field.minimum if field.exclusive_minimum else field.minimum - 1
        wrong.append(int(low) if whole else low)
    if field.maximum is not None:
        high = field.maximum if field.exclusive_maximum else field.maximum + 1
        wrong.append(int(high) if whole else high)
    return wrong
