"""docs/json-schemas.md names every document and every field that the commands print."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from recsys_desktop.engine import (
    Comparison,
    ComparisonRow,
    CounterfactualView,
    DemoResult,
    ExplanationPart,
    ExplanationView,
    FactorItem,
    FactorView,
    Inspection,
    Person,
    Phrase,
    Recommendation,
    RecommendationList,
    SimilarItem,
    WrittenLists,
    WrittenPredictions,
)
from tests.cli.conftest import ROOT, Run

DOCUMENTED = (ROOT / "docs" / "json-schemas.md").read_text(encoding="utf-8")
NAMES = set(re.findall(r"`([\w-]+)`", DOCUMENTED))


@pytest.mark.parametrize(
    "kind",
    [
        Comparison,
        ComparisonRow,
        CounterfactualView,
        DemoResult,
        ExplanationPart,
        ExplanationView,
        FactorItem,
        FactorView,
        Inspection,
        Person,
        Phrase,
        Recommendation,
        RecommendationList,
        SimilarItem,
        WrittenLists,
        WrittenPredictions,
    ],
)
def test_every_field_of_a_result_is_documented(kind: type) -> None:
    fields = {field.name for field in dataclasses.fields(kind) if field.repr}
    assert fields <= NAMES, fields - NAMES


def test_every_document_is_documented() -> None:
    printed: set[str] = set()
    for path in (ROOT / "recsys_desktop" / "cli").glob("*.py"):
        printed |= set(re.findall(r'(?:document|print_document)\(\s*"([\w-]+)"', path.read_text(encoding="utf-8")))
    assert {"train", "evaluate", "recommend", "error"} <= printed
    assert printed <= {name.removeprefix("recsys-desktop/") for name in NAMES} | {
        name.removeprefix("recsys-desktop/") for name in re.findall(r"recsys-desktop/[\w-]+", DOCUMENTED)
    }


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (["models", "list"], "models"),
        (["models", "show", "toy-together"], "model"),
        (["data", "list"], "datasets"),
        (["data", "show", "toy"], "dataset"),
        (["data", "sample"], "samples"),
        (["algorithms"], "algorithms"),
        (["splits"], "splits"),
        (["similar", "toy-together", "--item", "000"], "similar"),
        (["recommend", "toy-together", "--user", "00"], "recommend"),
    ],
)
def test_documents_carry_their_schema_and_documented_fields(shared: Run, arguments: list[str], name: str) -> None:
    document = shared(*arguments, "--json").document
    assert (document.pop("schema"), document.pop("version")) == (f"recsys-desktop/{name}", 1)
    assert set(document) <= NAMES


def test_the_page_is_where_the_code_says() -> None:
    source = Path(ROOT / "recsys_desktop" / "cli" / "output.py").read_text(encoding="utf-8")
    assert "docs/json-schemas.md" in source
