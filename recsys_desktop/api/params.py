"""Params: an algorithm's typed parameters, from which forms, flags, tuning and validation all come."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo

from recsys_desktop.api.errors import InvalidParameter


@dataclass(frozen=True)
class TuningRange:
    """Where tuning looks for a value; narrower than what is valid.

    low, high: bounds, both included; log: sample in proportion; choices: these values instead of a range.
    """

    low: float | None = None
    high: float | None = None
    log: bool = False
    choices: tuple[Any, ...] = ()


def param(
    default: Any,
    *,
    help: str,
    label: str = "",
    unit: str = "",
    ge: float | None = None,
    gt: float | None = None,
    le: float | None = None,
    lt: float | None = None,
    tune: TuningRange | None = None,
    advanced: bool = False,
    empty: str = "none",
) -> Any:
    """Declare one field of a `Params` class.

    help: one sentence that says what raising or lowering it does. label: how a form names it. ge, gt, le, lt: the
    values that are valid. tune: the values worth trying. advanced: shown folded away. empty: the word for None where
    that is valid: "none", or "auto" for what `fit` chooses by the data (see `Recommender.setting`).
    """
    return Field(
        default=default,
        description=help,
        ge=ge,
        gt=gt,
        le=le,
        lt=lt,
        json_schema_extra={
            "label": label,
            "unit": unit,
            "advanced": advanced,
            "tune": _tune_extra(tune),
            "empty": empty,
        },
    )


def _tune_extra(tune: TuningRange | None) -> Any:
    if tune is None:
        return None
    return {"low": tune.low, "high": tune.high, "log": tune.log, "choices": list(tune.choices)}


@dataclass(frozen=True)
class ParamField:
    """One parameter as a form, a flag or a tuner sees it.

    kind: "integer", "number", "boolean", "choice", "text", "integers" (a list of whole numbers) or "texts".
    optional: None is a valid value, and `empty` the word for it. minimum, maximum: bounds; exclusive_minimum,
    exclusive_maximum: whether they are themselves refused.
    """

    name: str
    label: str
    kind: str
    default: Any
    help: str
    unit: str = ""
    optional: bool = False
    choices: tuple[Any, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    exclusive_minimum: bool = False
    exclusive_maximum: bool = False
    tune: TuningRange | None = None
    advanced: bool = False
    empty: str = "none"

    @property
    def bounds_text(self) -> str:
        """The valid values in words, empty where everything of its kind is valid."""
        if self.choices:
            return "one of " + ", ".join(map(str, self.choices))
        parts = []
        if self.minimum is not None:
            parts.append(f"{'above' if self.exclusive_minimum else 'at least'} {_as_written(self.minimum)}")
        if self.maximum is not None:
            parts.append(f"{'below' if self.exclusive_maximum else 'at most'} {_as_written(self.maximum)}")
        return " and ".join(parts)


class Params(BaseModel):
    """Base of every algorithm's parameters: frozen, no unknown names, every value checked."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)

    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> Self:
        """Build from typed values or from text (`"64"`, `"128,64"`, `"none"`).

        Raises
        ------
        InvalidParameter: naming the first parameter that is unknown or wrong, and what is valid.
        """
        fields = {field.name: field for field in cls.describe()}
        typed: dict[str, Any] = {}
        for name, value in values.items():
            if name not in fields:
                known = ", ".join(fields) or "none"
                raise InvalidParameter(name, f"unknown; the parameters are: {known}")
            typed[name] = _from_text(fields[name], value) if isinstance(value, str) else value
        try:
            return cls(**typed)
        except ValidationError as error:
            first = error.errors()[0]
            name = str(first["loc"][0]) if first["loc"] else "parameters"
            reason = str(first["msg"]).removeprefix("Value error, ")
            bounds = fields[name].bounds_text if name in fields else ""
            given = f", got {first.get('input')!r}" if name in fields else ""
            raise InvalidParameter(name, f"{reason}{given}{f' (valid: {bounds})' if bounds else ''}") from None

    @classmethod
    def describe(cls) -> list[ParamField]:
        """The fields in declaration order, the advanced ones behind the others."""
        fields = (_describe(name, info) for name, info in cls.model_fields.items())
        return sorted(fields, key=lambda field: field.advanced)

    def to_dict(self) -> dict[str, Any]:
        """Plain values that `parse` takes back and JSON can hold."""
        return self.model_dump(mode="json")


class InteractionParams(Params):
    """Base of the parameters of an algorithm that treats every interaction alike, whatever its rating."""

    min_rating: float | None = param(
        None,
        label="Lowest rating that counts",
        help="Leave out interactions rated lower than this; empty counts every interaction alike.",
        advanced=True,
    )


def _as_written(bound: float) -> str:
    """A bound in digits, without an exponent as long as it stays readable."""
    return f"{bound:,.0f}" if abs(bound) >= 1e4 and bound == int(bound) and abs(bound) < 1e15 else f"{bound:g}"


def _describe(name: str, info: FieldInfo) -> ParamField:
    annotation, optional = _strip_none(info.annotation)
    extra = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
    bounds: dict[str, Any] = {}
    for constraint in info.metadata:
        for attribute in ("ge", "gt", "le", "lt"):
            if (value := getattr(constraint, attribute, None)) is not None:
                side = "minimum" if attribute in ("ge", "gt") else "maximum"
                bounds[side] = float(value)
                bounds[f"exclusive_{side}"] = attribute in ("gt", "lt")
    tune: Any = extra.get("tune")
    kind, choices = _kind(name, annotation)
    return ParamField(
        name=name,
        label=str(extra.get("label") or name.replace("_", " ").capitalize()),
        kind=kind,
        default=info.default,
        help=info.description or "",
        unit=str(extra.get("unit") or ""),
        optional=optional,
        choices=choices,
        tune=None if tune is None else TuningRange(tune["low"], tune["high"], tune["log"], tuple(tune["choices"])),
        advanced=bool(extra.get("advanced")),
        empty=str(extra.get("empty") or "none"),
        **bounds,
    )


def _strip_none(annotation: Any) -> tuple[Any, bool]:
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        parts = [part for part in typing.get_args(annotation) if part is not type(None)]
        if len(parts) == 1:
            return parts[0], True
    return annotation, False


def _kind(name: str, annotation: Any) -> tuple[str, tuple[Any, ...]]:
    simple = {bool: "boolean", int: "integer", float: "number", str: "text"}
    if annotation in simple:
        return simple[annotation], ()
    if typing.get_origin(annotation) is Literal:
        return "choice", typing.get_args(annotation)
    if typing.get_origin(annotation) is tuple:
        inner = typing.get_args(annotation)[0]
        if inner is int:
            return "integers", ()
        if inner is str:
            return "texts", ()
    raise TypeError(f"parameter '{name}' has type {annotation}, which no form, flag or tuner knows")


def _from_text(field: ParamField, text: str) -> Any:
    stripped = text.strip()
    if field.optional and stripped.lower() in ("", "none", "null", field.empty):
        return None
    if field.kind == "boolean":
        if stripped.lower() in ("true", "yes", "on", "1"):
            return True
        if stripped.lower() in ("false", "no", "off", "0"):
            return False
        raise InvalidParameter(field.name, f"'{text}' is neither true nor false")
    if field.kind == "integer":
        try:
            return int(stripped)
        except ValueError:
            raise InvalidParameter(field.name, f"'{text}' is not a whole number") from None
    if field.kind == "number":
        try:
            return float(stripped)
        except ValueError:
            raise InvalidParameter(field.name, f"'{text}' is not a number") from None
    if field.kind in ("integers", "texts"):
        parts = [part.strip() for part in stripped.strip("[]()").split(",") if part.strip()]
        if field.kind == "texts":
            return tuple(parts)
        try:
            return tuple(int(part) for part in parts)
        except ValueError:
            raise InvalidParameter(field.name, f"'{text}' is not a list of whole numbers such as 128,64") from None
    if field.kind == "choice":
        return next((choice for choice in field.choices if str(choice) == stripped), stripped)
    return text
