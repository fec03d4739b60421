"""The frozen splits: what they promise, and that a changed file is noticed."""

import numpy as np
import pytest

from benchmarks import frozen_splits
from benchmarks.frozen_splits import development_split, final_split, frozen_split, movielens_small
from recsys_desktop.api import InvalidData


@pytest.mark.parametrize("name", ["random", "last"])
def test_every_rating_is_in_exactly_one_part(name):
    data = movielens_small()
    parts = frozen_split(name)
    assert len(parts.train) + len(parts.validation) + len(parts.test) == len(data) == 100_004
    each = (parts.train, parts.validation, parts.test)
    pairs = np.concatenate([part.users.astype(np.int64) * data.n_items + part.items for part in each])
    assert len(np.unique(pairs)) == len(data)
    assert len(final_split(name).train) == len(parts.train) + len(parts.validation)
    assert len(development_split(name).test) == len(parts.validation)


def test_the_last_split_holds_out_nothing_older_than_it_keeps():
    parts = frozen_split("last")
    last_kept = np.full(parts.train.n_users, -1, dtype=np.int64)
    np.maximum.at(last_kept, parts.train.users, parts.train.timestamps)
    for part in (parts.validation, parts.test):
        assert (part.user_counts == 1).all()
        assert (part.timestamps >= last_kept[part.users]).all()


def test_the_random_split_is_eighty_ten_ten_for_each_user():
    parts = frozen_split("random")
    counts = movielens_small().user_counts
    np.testing.assert_allclose(parts.test.user_counts, 0.1 * counts, atol=1)
    np.testing.assert_allclose(parts.validation.user_counts, 0.1 * counts, atol=1)


def test_a_changed_file_is_noticed(tmp_path, monkeypatch):
    for source in frozen_splits.FOLDER.glob("*.*"):
        (tmp_path / source.name).write_bytes(source.read_bytes())
    changed = np.load(tmp_path / "split-last.npy")
    changed[0] ^= 1
    np.save(tmp_path / "split-last.npy", changed)
    monkeypatch.setattr(frozen_splits, "FOLDER", tmp_path)
    with pytest.raises(InvalidData, match="not the frozen split"):
        frozen_split("last")
    frozen_split("random")
