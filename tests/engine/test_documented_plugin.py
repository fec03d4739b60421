"""The algorithm of docs/plugins.md, as it stands there, dropped into a workspace, trained, asked and explained."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from docs.examples import together
from recsys_desktop.api.testing import AlgorithmConformance
from recsys_desktop.engine import Engine, ImportRequest, RecommendRequest, TrainRequest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "plugins.md"


def documented_source() -> str:
    """The first Python block of the page."""
    found = re.search(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    return found.group(1)


def test_the_documented_file_works_in_the_plugins_folder(tmp_path: Path) -> None:
    workspace = tmp_path / "workspace"
    (workspace / "plugins").mkdir(parents=True)
    (workspace / "plugins" / "together.py").write_text(documented_source(), encoding="utf-8")
    ratings = tmp_path / "loans.csv"
    rows = [f"reader {user},book {(user + step) % 12}" for user in range(12) for step in (0, 1, 3)]
    ratings.write_text("user,item\n" + "\n".join(rows), encoding="utf-8")
    with Engine.open(workspace) as engine:
        assert not [plugin.error for plugin in engine.registry.plugins if plugin.error]
        engine.import_data(ImportRequest((ratings,), "loans"))
        record = engine.train(TrainRequest("together", "loans", {"damping": 2}))
        answer = engine.recommend(RecommendRequest(record.label, user="reader 3", explain=True))
    assert len(answer.items) == 9
    first = answer.items[0].explanation
    assert first is not None
    assert first.exact
    assert sum(part.value for part in first.parts) == pytest.approx(first.score, abs=1e-5)


def test_the_page_shows_the_example_as_it_is() -> None:
    assert documented_source() == Path(together.__file__).read_text(encoding="utf-8")


class TestTogetherConformance(AlgorithmConformance):
    spec = together.TOGETHER
    spec_module = "docs.examples.together"
    dimension = ""
