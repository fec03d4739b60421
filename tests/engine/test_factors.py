"""What the factors of a model stand for reaches a person in titles and categories."""

from __future__ import annotations

from pathlib import Path

import pytest

from recsys_desktop.api.errors import CannotServe
from recsys_desktop.engine import Engine, ImportRequest, TrainRequest


def test_factors_are_told_in_titles_and_categories(tmp_path: Path, toy_files: tuple[Path, Path]) -> None:
    ratings, items = toy_files
    with Engine.open(tmp_path, safe_mode=True, threads=1) as engine:
        engine.import_data(ImportRequest([ratings], "toy", [items]))
        engine.train(TrainRequest("nmf", "toy", params={"factors": 3}))
        found = engine.factors("nmf")
        assert 1 <= len(found) <= 3
        assert len({factor.name for factor in found}) == len(found)
        assert [factor.share for factor in found] == sorted((factor.share for factor in found), reverse=True)
        assert sum(factor.share for factor in found) == pytest.approx(1, abs=1e-4)
        titles = {match.item: match.title for match in engine.search_items("toy", "", 1000)}
        for factor in found:
            assert all(titles[item.item] == item.title for item in factor.items)
            assert [item.weight for item in factor.items] == sorted(
                (item.weight for item in factor.items), reverse=True
            )
        engine.train(TrainRequest("popularity", "toy"))
        with pytest.raises(CannotServe, match="no factors that can be read"):
            engine.factors("popularity")
