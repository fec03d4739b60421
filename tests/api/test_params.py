"""Params: read from text, refused by name, described for forms and flags."""

import math
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError, model_validator

from recsys_desktop.api import InvalidParameter, Params, TuningRange, param


class Everything(Params):
    factors: int = param(64, help="How many.", ge=1, le=512, tune=TuningRange(8, 256, log=True))
    rate: float = param(0.1, help="How fast.", label="Learning rate", unit="1/step", gt=0, lt=1, advanced=True)
    weighted: bool = param(False, help="Whether.")
    loss: Literal["bpr", "softmax"] = param("bpr", help="Which.", tune=TuningRange(choices=("bpr", "softmax")))
    depth: Literal[1, 2, 3] = param(2, help="How deep.")
    layers: tuple[int, ...] = param((128, 64), help="How wide.")
    members: tuple[str, ...] = param(("ease", "ials"), help="Who.")
    column: str = param("title", help="Where.")
    min_rating: float | None = param(None, help="From where.", ge=0)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("factors", " 32 ", 32),
        ("rate", "0.5", 0.5),
        ("rate", "1e-3", 0.001),
        ("weighted", "yes", True),
        ("weighted", "On", True),
        ("weighted", "FALSE", False),
        ("weighted", "0", False),
        ("loss", "softmax", "softmax"),
        ("depth", "3", 3),
        ("layers", "16,8", (16, 8)),
        ("layers", "[16, 8, 4]", (16, 8, 4)),
        ("layers", "", ()),
        ("members", "ease", ("ease",)),
        ("members", " ease , bpr ", ("ease", "bpr")),
        ("column", " with space", " with space"),
        ("min_rating", "3.5", 3.5),
        ("min_rating", "none", None),
        ("min_rating", "", None),
    ],
)
def test_text_is_read_as_what_it_says(name, text, value):
    assert getattr(Everything.parse({name: text}), name) == value


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("factors", "many", "'many' is not a whole number"),
        ("factors", "1.5", "'1.5' is not a whole number"),
        ("factors", 0, "got 0 (valid: at least 1 and at most 512)"),
        ("factors", "513", "got 513"),
        ("factors", None, "got None"),
        ("rate", 1, "(valid: above 0 and below 1)"),
        ("rate", "fast", "'fast' is not a number"),
        ("rate", math.nan, "got nan"),
        ("rate", "inf", "got inf"),
        ("weighted", "perhaps", "'perhaps' is neither true nor false"),
        ("loss", "hinge", "one of bpr, softmax"),
        ("depth", "4", "one of 1, 2, 3"),
        ("layers", "wide", "not a list of whole numbers such as 128,64"),
        ("min_rating", -1.0, "at least 0"),
        ("colour", "blue", "unknown; the parameters are: factors, weighted"),
    ],
)
def test_what_is_wrong_is_refused_by_name(name, value, says):
    with pytest.raises(InvalidParameter) as refusal:
        Everything.parse({"column": "title", name: value})
    assert refusal.value.name == name
    assert f"parameter '{name}'" in str(refusal.value)
    assert says in str(refusal.value)


def test_fields_are_described_in_order_the_advanced_ones_last():
    fields = {field.name: field for field in Everything.describe()}
    assert list(fields) == [*(name for name in Everything.model_fields if name != "rate"), "rate"]
    assert [fields[name].kind for name in Everything.model_fields] == [
        "integer",
        "number",
        "boolean",
        "choice",
        "choice",
        "integers",
        "texts",
        "text",
        "number",
    ]
    rate = fields["rate"]
    assert (rate.label, rate.unit, rate.help, rate.advanced) == ("Learning rate", "1/step", "How fast.", True)
    assert (rate.minimum, rate.maximum, rate.exclusive_minimum, rate.exclusive_maximum) == (0, 1, True, True)
    assert fields["factors"].label == "Factors"
    assert fields["factors"].tune == TuningRange(8, 256, log=True)
    assert fields["factors"].bounds_text == "at least 1 and at most 512"
    assert fields["loss"].choices == ("bpr", "softmax")
    assert fields["loss"].tune.choices == ("bpr", "softmax")
    assert fields["min_rating"].optional
    assert fields["min_rating"].empty == "none"
    assert not fields["factors"].optional
    assert fields["column"].bounds_text == ""


def test_none_has_a_word_that_is_read_back():
    class Open(Params):
        rank: int | None = param(None, help="How many.", empty="auto")

    assert Open.describe()[0].empty == "auto"
    for text in ("auto", "Auto", "", "none"):
        assert Open.parse({"rank": text}).rank is None
    assert Open.parse({"rank": "3"}).rank == 3


def test_bounds_are_written_without_exponents():
    class Wide(Params):
        size: int = param(1, help="A size.", ge=-1_000_000, le=1_000_000)
        share: float = param(0.5, help="A share.", gt=1e-9, le=1e30)

    assert [field.bounds_text for field in Wide.describe()] == [
        "at least -1,000,000 and at most 1,000,000",
        "above 1e-09 and at most 1e+30",
    ]


@given(
    st.builds(
        dict,
        factors=st.integers(1, 512),
        rate=st.floats(0, 1, exclude_min=True, exclude_max=True),
        weighted=st.booleans(),
        layers=st.lists(st.integers(1, 99), max_size=3).map(tuple),
        members=st.lists(st.sampled_from(["ease", "bpr"]), max_size=3).map(tuple),
        min_rating=st.none() | st.floats(0, 10),
    )
)
def test_what_is_written_is_read_back(values):
    params = Everything.parse(values)
    assert Everything.parse(params.to_dict()) == params
    as_text = {
        name: ",".join(map(str, value)) if isinstance(value, tuple) else str(value) for name, value in values.items()
    }
    assert Everything.parse(as_text) == params


def test_parameters_do_not_change():
    with pytest.raises(ValidationError, match="frozen"):
        Everything().factors = 3


def test_a_rule_over_several_parameters_is_refused_with_its_reason():
    class Ordered(Params):
        low: int = param(1, help="From.", ge=0)
        high: int = param(2, help="To.", ge=0)

        @model_validator(mode="after")
        def check(self):
            if self.low > self.high:
                raise ValueError("low must not exceed high")
            return self

    with pytest.raises(InvalidParameter, match="low must not exceed high"):
        Ordered.parse({"low": 5})


def test_a_type_that_no_form_knows_is_refused_when_described():
    class Odd(Params):
        table: dict[str, int] = param({}, help="What.")

    with pytest.raises(TypeError, match="'table' has type"):
        Odd.describe()
