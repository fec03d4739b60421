"""Checks of saving, loading and aligning: the same answers after all three, and no pickle."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from recsys_desktop.api import state
from recsys_desktop.api.algorithm import Serves
from recsys_desktop.api.alignment import AlignedModel
from recsys_desktop.api.dataset import Dataset
from recsys_desktop.api.recommender import Recommender
from recsys_desktop.api.testing import naive
from recsys_desktop.api.testing.workbench import Workbench, concerns, differ, hold
from recsys_desktop.api.vocabulary import Vocabulary


class PersistenceChecks(Workbench):
    """A saved model answers as before, alone and against data whose vocabulary has changed."""

    def _loaded(self, include_users: bool = True) -> Recommender:
        with tempfile.TemporaryDirectory() as folder:
            self.model.save(Path(folder), include_users)
            return Recommender.load(Path(folder), self.resolve)

    def test_a_loaded_model_answers_the_same(self) -> None:
        query = self.everyone()
        loaded = self._loaded()
        before, after = self.model.score(query), loaded.score(query)
        hold(
            np.array_equal(before, after, equal_nan=True),
            f"after saving and loading, scores differ ({differ(before, after, 0.0) or 'in their NaN'}): something "
            "that was learnt is not in an attribute that ends in '_'",
        )
        hold(loaded.params == self.model.params, "after saving and loading, the parameters differ")
        for person in range(len(query)):
            seen = set(query.history(person).tolist())
            hold(
                naive.top_n(before[person], seen, 10) == naive.top_n(after[person], seen, 10),
                f"after saving and loading, the list of person {person} differs",
            )
        if self.spec.capabilities.predicts_ratings:
            hold(
                np.array_equal(self.model.predict(query), loaded.predict(query), equal_nan=True),
                "after saving and loading, predictions differ",
            )

    @concerns(lambda test: test.capabilities().explains)
    def test_a_loaded_model_explains_the_same(self) -> None:
        person = self.active().take([0])
        items = naive.top_n(self.model.score(person)[0], set(person.items.tolist()), 3)
        hold(
            self.model.explain(person, items) == self._loaded().explain(person, items),
            "after saving and loading, explanations differ",
        )

    def test_a_loaded_model_can_be_saved_again(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            self._loaded().save(Path(folder))
            again = Recommender.load(Path(folder), self.resolve)
        text = differ(self.model.score(self.everyone()), again.score(self.everyone()), 0.0)
        hold(not text, f"a model that was loaded and saved again answers differently: {text}")

    def test_files_are_a_manifest_and_arrays_without_pickle(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            self.model.save(Path(folder))
            names = sorted(path.name for path in Path(folder).rglob("*"))
            hold(
                names == [state.MANIFEST, state.TENSORS],
                f"a saved model is {state.MANIFEST} and {state.TENSORS}; `save` left {', '.join(names)}",
            )
            manifest = state.read_manifest(Path(folder))
            hold(
                manifest["items"] == list(self.train.item_vocabulary),
                "the manifest does not list the item ids in code order",
            )
            for name in names:
                content = (Path(folder) / name).read_bytes()
                # A safetensors file begins with the length of its header, which may well look like a pickle's mark.
                begins = content[8:] if name == state.TENSORS else content
                hold(
                    begins.startswith(b"{") and b"\x80\x04\x95" not in content,
                    f"{name} holds a pickle: a model file from elsewhere could run code",
                )

    def test_a_model_saved_without_user_ids_knows_nobody_by_name(self) -> None:
        stripped = self._loaded(include_users=False)
        hold(len(stripped.user_vocabulary) == 0, "saved without user ids, the model still has them")
        if self.spec.capabilities.serves in (Serves.EVERYONE, Serves.HISTORY):
            query = self.active()
            text = differ(self.model.score(query), stripped.score(query.as_strangers()))
            hold(not text, f"saved without user ids, histories score differently: {text}")

    def test_aligns_with_a_vocabulary_that_has_grown(self) -> None:
        data = self.train
        users = Vocabulary(["newcomer", *data.user_vocabulary])
        items = Vocabulary([*list(data.item_vocabulary)[:5], "new-item", *list(data.item_vocabulary)[5:]])
        self._hold_aligned(self._moved(data, users, items), "grown by a user and an item in the middle")

    def test_aligns_with_a_vocabulary_in_another_order(self) -> None:
        data = self.train
        generator = np.random.default_rng(8)
        users = Vocabulary(generator.permutation(data.user_vocabulary.ids).tolist())
        items = Vocabulary(generator.permutation(data.item_vocabulary.ids).tolist())
        self._hold_aligned(self._moved(data, users, items), "in another order")

    def test_items_removed_from_the_data_are_never_listed(self) -> None:
        data = self.train
        lost = set(np.argsort(-data.item_counts)[:3].tolist())
        kept = [code for code in range(data.n_items) if code not in lost]
        rows = ~np.isin(data.items, list(lost))
        smaller = self._moved(
            data.subset(rows), data.user_vocabulary, Vocabulary(data.item_vocabulary.ids[kept].tolist())
        )
        self._hold_aligned(smaller, "without three items", lost)
        aligned = AlignedModel.to(self._loaded(), smaller)
        query = self.active(smaller)
        scores = aligned.score(query)
        hold(
            scores.shape == (len(query), len(kept)),
            f"aligned with {len(kept)} items the model answers with shape {scores.shape}",
        )

    @concerns(lambda test: test.capabilities().explains)
    def test_explanations_speak_in_the_codes_of_the_data(self) -> None:
        data = self.train
        order = np.random.default_rng(9).permutation(data.n_items)
        moved = self._moved(data, data.user_vocabulary, Vocabulary(data.item_vocabulary.ids[order].tolist()))
        aligned = AlignedModel.to(self.model, moved)
        here = self.active(data).take([0])
        there = self.active(moved).take([0])
        items = naive.top_n(self.model.score(here)[0], set(here.items.tolist()), 2)
        position = np.argsort(order)
        direct, through = self.model.explain(here, items), aligned.explain(there, position[items])
        hold(
            [moved.item_vocabulary[part.item] for part in through] == [data.item_vocabulary[code] for code in items],
            "explanations of an aligned model are about other items",
        )
        for mine, theirs in zip(direct, through, strict=True):
            gap = abs(sum(part.value for part in mine.contributions) - sum(part.value for part in theirs.contributions))
            hold(gap <= 1e-3 * max(1.0, abs(mine.score)), "explanations of an aligned model have other contributions")

    def _moved(self, data: Dataset, users: Vocabulary, items: Vocabulary) -> Dataset:
        """The same interactions in other vocabularies."""
        return replace(
            data,
            user_vocabulary=users,
            item_vocabulary=items,
            users=data.user_vocabulary.mapping_to(users)[data.users],
            items=data.item_vocabulary.mapping_to(items)[data.items],
            user_features=data.user_features.take(users.mapping_to(data.user_vocabulary)),
            item_features=data.item_features.take(items.mapping_to(data.item_vocabulary)),
        )

    def _hold_aligned(self, moved: Dataset, how: str, lost: Sequence[int] | set[int] = ()) -> None:
        """Ask the loaded model through `moved` and the model itself through `train`, and compare by id."""
        data = self.train
        query = self.everyone(data)
        if lost:
            query = query.keep_entries(~np.isin(query.items, list(lost)))
        direct = self.model.score(query)
        through = AlignedModel.to(self._loaded(), moved).score(self.everyone(moved))
        user_codes = data.user_vocabulary.mapping_to(moved.user_vocabulary)
        item_codes = data.item_vocabulary.mapping_to(moved.item_vocabulary)
        shared = item_codes >= 0
        text = differ(direct[:, shared], through[np.ix_(user_codes, item_codes[shared])])
        hold(not text, f"asked through a vocabulary {how}, the loaded model answers differently: {text}")
        strange = moved.item_vocabulary.mapping_to(data.item_vocabulary) < 0
        hold(
            np.isnan(through[:, strange]).all(),
            f"asked through a vocabulary {how}, items unknown to the model have scores",
        )
