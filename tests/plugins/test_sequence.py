"""Sequence recommenders: the promises of the contract, their losses, and what the order of a history tells them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from recsys_desktop.api import AlgorithmSpec, Dataset, DataShape, InvalidParameter, Query, RunContext
from recsys_desktop.api.testing import AlgorithmConformance, KitRun, made_data
from recsys_desktop.data.splits import LeaveLastOutParams, split_leave_last_out
from recsys_desktop.data.synthetic import PlantedOrderParams, make_planted_order
from recsys_desktop.evaluation import RANKING_METRICS, paired_difference, rank_test_users
from recsys_desktop.toolkit import checkpoints
from recsys_linear.plugin import EASE
from recsys_sequence import losses, recommenders
from recsys_sequence.losses import Candidates, bce_loss, drawn_candidates, gbce_loss, softmax_loss
from recsys_sequence.networks import RecurrentNetwork, SelfAttentionNetwork, SequenceNetwork
from recsys_sequence.plugin import GRU, LSTM, SASREC
from recsys_sequence.recommenders import SequenceRecommender
from recsys_sequence.sequences import (
    Windows,
    batches_by_length,
    drawn_windows,
    last_windows,
    padded_rows,
    shuffled_rows,
)

ALL = (SASREC, GRU, LSTM)
SMALL = (DataShape(1000, 400, 20_000), DataShape(3000, 800, 60_000))


class TestSasRec(AlgorithmConformance):
    spec = SASREC
    forecast_params = {"epochs": 1}
    forecast_shapes = SMALL


class TestGru(AlgorithmConformance):
    spec = GRU
    forecast_params = {"epochs": 1}
    forecast_shapes = SMALL


class TestLstm(AlgorithmConformance):
    spec = LSTM
    forecast_params = {"epochs": 1}
    forecast_shapes = SMALL


def fitted(spec: AlgorithmSpec, data: Dataset | None = None, seed: int = 3, **params: Any) -> SequenceRecommender:
    model = spec.load()(spec.params.parse({"epochs": 2, "factors": 16, **params}))
    train = made_data.communities().train if data is None else data
    found = model.fit(train, RunContext(seed, threads=1, device="cpu"))
    assert isinstance(found, SequenceRecommender)
    return found


def networks() -> list[SequenceNetwork]:
    def chance() -> torch.Generator:
        return torch.Generator().manual_seed(5)

    found: list[SequenceNetwork] = [
        RecurrentNetwork(torch.nn.GRU, 30, 8, 12, 2, 0.3, chance()),
        RecurrentNetwork(torch.nn.LSTM, 30, 8, 12, 1, 0.3, chance()),
        SelfAttentionNetwork(30, 8, 2, 2, 9, 0.3, chance()),
    ]
    for network in found:
        with torch.no_grad():
            for parameter in network.parameters():
                parameter += 0.3 * torch.randn(parameter.shape, generator=chance())
    return [network.eval() for network in found]


class TestLosses:
    @pytest.fixture(autouse=True)
    def _small_blocks(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(losses, "BLOCK_VALUES", 40)

    @staticmethod
    def arguments() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        chance = torch.Generator().manual_seed(1)
        states, vectors = torch.randn(9, 4, generator=chance), torch.randn(13, 4, generator=chance)
        bias, targets = torch.randn(13, generator=chance), torch.randint(13, (9,), generator=chance)
        return states.requires_grad_(), vectors.requires_grad_(), bias.requires_grad_(), targets

    @staticmethod
    def hold_equal(found: torch.Tensor, expected: torch.Tensor, inputs: tuple[torch.Tensor, ...]) -> None:
        torch.testing.assert_close(found, expected)
        for ours, theirs in zip(
            torch.autograd.grad(2 * found, inputs[:3]), torch.autograd.grad(2 * expected, inputs[:3]), strict=True
        ):
            torch.testing.assert_close(ours, theirs)

    def test_softmax_over_all_items_is_cross_entropy(self) -> None:
        inputs = states, vectors, bias, targets = self.arguments()
        expected = torch.nn.functional.cross_entropy(states @ vectors.T + bias, targets)
        self.hold_equal(softmax_loss(*inputs), expected, inputs)

    def test_sampled_softmax_weighs_each_candidate_by_how_rarely_it_is_drawn(self) -> None:
        inputs = states, vectors, bias, targets = self.arguments()
        probabilities = torch.softmax(torch.arange(13) / 5.0, 0)
        candidates = drawn_candidates(probabilities, 20, torch.Generator().manual_seed(2))
        assert candidates.counts.sum() == 20
        assert len(set(candidates.items.tolist())) == len(candidates.items) < 13
        assert set(candidates.items.tolist()) & set(targets.tolist())
        total = torch.zeros(())
        for state, target in zip(states, targets.tolist(), strict=True):
            logits = vectors @ state + bias
            around = logits[target].exp()
            for item, count in zip(candidates.items.tolist(), candidates.counts.tolist(), strict=True):
                if item != target:
                    around = around + count / (20 * probabilities[item]) * logits[item].exp()
            total = total - (logits[target].exp() / around).log()
        self.hold_equal(softmax_loss(*inputs, candidates), total / 9, inputs)

    def test_sampled_softmax_estimates_the_whole_without_bias(self) -> None:
        states, vectors, bias, targets = self.arguments()
        whole = torch.logsumexp(states @ vectors.T + bias, 1).exp()
        probabilities = torch.softmax(torch.arange(13) / 5.0, 0)
        chance = torch.Generator().manual_seed(3)
        own = ((states * vectors[targets]).sum(1) + bias[targets]).exp()
        sums = torch.zeros(9)
        for _ in range(600):
            drawn = drawn_candidates(probabilities, 50, chance)
            weighed = (states @ vectors[drawn.items].T + bias[drawn.items] + drawn.log_weights).exp()
            sums += (weighed * (drawn.items != targets[:, None])).sum(1) + own
        torch.testing.assert_close(sums.detach() / 600, whole.detach(), rtol=0.03, atol=0)

    @pytest.mark.parametrize("calibration", [0.0, 0.75, 1.0])
    def test_gbce_is_its_equation(self, calibration: float) -> None:
        inputs = states, vectors, bias, targets = self.arguments()
        drawn = [1, 4, 4, 7]
        candidates = Candidates(torch.tensor([1, 4, 7]), torch.tensor([1.0, 2.0, 1.0]), torch.zeros(3))
        rate = 4 / 12
        power = rate * (calibration * (1 - 1 / rate) + 1 / rate)
        total = torch.zeros(())
        for state, target in zip(states, targets.tolist(), strict=True):
            chances = torch.sigmoid(vectors @ state + bias)
            total = total - (chances[target] ** power).log()
            for item in drawn:
                if item != target:
                    total = total - (1 - chances[item]).log()
        self.hold_equal(gbce_loss(*inputs, candidates, calibration), total / 5 / 9, inputs)

    def test_bce_compares_with_one_negative_each(self) -> None:
        inputs = states, vectors, bias, targets = self.arguments()
        negatives = (targets + 3) % 13
        logits = states @ vectors.T + bias
        rows = torch.arange(9)
        chances = torch.cat((torch.sigmoid(logits[rows, targets]), 1 - torch.sigmoid(logits[rows, negatives])))
        self.hold_equal(bce_loss(*inputs, negatives), -chances.log().sum() / 9, inputs)


class TestNetworks:
    @pytest.mark.parametrize("place", range(3))
    def test_a_later_item_changes_nothing_before_it(self, place: int) -> None:
        network, sizes = networks()[place], torch.tensor([7, 7])
        items = torch.tensor([[3, 5, 7, 9, 11, 13, 15], [3, 5, 7, 9, 2, 13, 15]])
        with torch.no_grad():
            first, second = network.states(items, sizes)
        assert torch.equal(first[:4], second[:4])
        assert (first[4:] - second[4:]).abs().amax(1).min() > 1e-3

    @pytest.mark.parametrize("place", range(2))
    def test_all_states_of_one_pass_are_those_of_the_prefixes(self, place: int) -> None:
        network = networks()[place]
        items = torch.tensor([[3, 5, 7, 9, 11, 13]])
        with torch.no_grad():
            whole = network.states(items, torch.tensor([6]))[0]
            prefixes = [network.last_states(items[:, :size], torch.tensor([size]))[0] for size in range(1, 7)]
        torch.testing.assert_close(whole, torch.stack(prefixes), rtol=1e-4, atol=1e-5)

    def test_all_states_of_self_attention_are_those_of_the_prefixes_at_their_positions(self) -> None:
        network = networks()[2]
        items = torch.tensor([[3, 5, 7, 9, 11, 13]])
        with torch.no_grad():
            whole = network.states(items, torch.tensor([6]))[0]
            # A prefix of a row of six stands further from the end: what follows is told by the size alone.
            prefixes = [network.states(items[:, :size], torch.tensor([6]))[0, -1] for size in range(1, 7)]
        torch.testing.assert_close(whole, torch.stack(prefixes), rtol=1e-4, atol=1e-5)

    @pytest.mark.parametrize("place", range(3))
    def test_what_fills_up_a_row_changes_nothing(self, place: int) -> None:
        network = networks()[place]
        items = torch.tensor([[3, 5, 7, 0, 0, 0], [2, 4, 6, 8, 10, 12], [9, 1, 2, 3, 3, 3]])
        sizes = torch.tensor([3, 6, 2])
        with torch.no_grad():
            together, last = network.states(items, sizes), network.last_states(items, sizes)
            for row, size in enumerate(sizes.tolist()):
                alone = network.states(items[row : row + 1, :size], sizes[row : row + 1])[0]
                torch.testing.assert_close(together[row, :size], alone, rtol=1e-4, atol=1e-5)
                torch.testing.assert_close(last[row], alone[-1], rtol=1e-4, atol=1e-5)


class TestSequences:
    def test_windows_end_with_the_history_or_lie_anywhere_in_it(self) -> None:
        indptr = np.array([0, 3, 3, 13, 18])
        ends = last_windows(indptr, 5)
        assert ends.begins.tolist() == [0, 3, 8, 13]
        assert ends.sizes.tolist() == [3, 0, 5, 5]
        generator = np.random.default_rng(1)
        begins = np.array([drawn_windows(indptr, 5, 1.0, generator).begins for _ in range(200)])
        assert set(begins[:, 2].tolist()) == set(range(3, 9))
        assert (begins[:, [0, 1, 3]] == [0, 3, 13]).all()
        assert (drawn_windows(indptr, 5, 0.0, generator).begins == ends.begins).all()

    def test_batches_hold_every_sequence_once_within_their_size(self) -> None:
        generator = np.random.default_rng(2)
        sizes = generator.integers(1, 60, 300)
        batches = batches_by_length(sizes, 60, 200, generator)
        assert sorted(np.concatenate(batches).tolist()) == list(range(300))
        assert max(len(batch) * sizes[batch].max() for batch in batches) <= 200
        padding = sum(len(batch) * sizes[batch].max() for batch in batches) / sizes.sum()
        assert padding < 1.25
        assert [batch.tolist() for batch in batches_by_length(np.array([50, 60]), 60, 20, generator)] in (
            [[0], [1]],
            [[1], [0]],
        )

    def test_rows_are_the_histories_filled_up(self) -> None:
        rows, real = padded_rows(np.arange(10, 20), Windows(np.array([0, 4]), np.array([2, 4])), 5)
        assert rows.tolist() == [[10, 11, 0, 0, 0], [14, 15, 16, 17, 0]]
        assert real.sum(axis=1).tolist() == [2, 4]
        mixed = shuffled_rows(rows, real, np.random.default_rng(0))
        assert np.sort(mixed[:, :2][0]).tolist() == [10, 11]
        assert sorted(mixed[1, :4].tolist()) == [14, 15, 16, 17] != mixed[1, :4].tolist()


def test_scores_are_logits_against_the_mean_item() -> None:
    model = fitted(SASREC)
    history = [3, 8, 5]
    places = {int(code): place for place, code in enumerate(model.items_)}
    network = model._new_network(len(model.items_), model.length_, 0.0, torch.Generator())
    network.load_state_dict({name: torch.from_numpy(array) for name, array in model.weights_.items()})
    network.eval()
    with torch.no_grad():
        state = network.states(torch.tensor([[places[code] for code in history]]), torch.tensor([3]))[0, -1].numpy()
    vectors = model.weights_["item_vectors"]
    expected = (vectors - vectors.mean(axis=0)) @ state + model.weights_["item_bias"]
    np.testing.assert_allclose(model.score(Query.of_history(history))[0][model.items_], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("spec", ALL, ids=lambda spec: spec.id)
def test_the_order_of_a_history_matters_and_only_its_end_counts(spec: AlgorithmSpec) -> None:
    model = fitted(spec, length=4)
    assert model.length_ == 4
    first, turned, longer = (
        model.score(Query.of_history(history)) for history in ([3, 8, 5, 7], [7, 5, 8, 3], [1, 2, 3, 8, 5, 7])
    )
    assert np.nanmax(np.abs(first - turned)) > 1e-4
    np.testing.assert_allclose(first, longer, rtol=1e-5, atol=1e-6)


def test_the_length_is_no_longer_than_the_data() -> None:
    train = made_data.communities().train
    assert fitted(SASREC).length_ == train.user_counts.max() - 1


def test_without_times_the_order_of_the_file_is_the_order() -> None:
    train = made_data.communities().train
    in_time = train.subset(train.histories.rows)
    scores = [
        fitted(GRU, data).score(Query.of_users(data, np.arange(data.n_users)))
        for data in (train, replace(in_time, timestamps=None), replace(train, timestamps=None))
    ]
    np.testing.assert_array_equal(scores[0], scores[1])
    assert np.nanmax(np.abs(scores[0] - scores[2])) > 1e-4


def test_items_rated_too_low_are_not_read() -> None:
    train = made_data.communities().train
    assert train.ratings is not None
    model = fitted(GRU, min_rating=4)
    liked = train.subset(train.ratings >= 4)
    np.testing.assert_array_equal(model.known_items_, liked.item_counts > 0)
    rated = Query.of_history([0, 2, 5], [5.0, 4.0, 2.0])
    np.testing.assert_allclose(model.score(rated), model.score(Query.of_history([0, 2])), rtol=1e-5, atol=1e-6)


def test_training_begins_at_popularity() -> None:
    train = made_data.communities().train
    model = SASREC.load()(SASREC.params()).fit(train, KitRun(stop_after_checks=0))
    scores = model.score(Query.of_users(train, np.arange(60)))[:, model.known_items_]
    counts = np.log(train.item_counts[model.known_items_])
    assert min(np.corrcoef(row, counts)[0, 1] for row in scores) > 0.8


def test_torchs_own_chance_is_left_alone() -> None:
    before = torch.get_rng_state()
    first = fitted(LSTM, loss="sampled", seed=9)
    torch.manual_seed(1)
    moved = torch.get_rng_state()
    second = fitted(LSTM, loss="sampled", seed=9)
    assert torch.equal(torch.get_rng_state(), moved)
    torch.set_rng_state(before)
    for name, weights in first.weights_.items():
        np.testing.assert_array_equal(weights, second.weights_[name])


def test_halves_of_a_batch_have_its_gradients() -> None:
    """Memory that runs out in the first step halves the batches; the training goes on and stays close."""
    whole = fitted(GRU, epochs=1, dropout=0.0)
    states, failed = RecurrentNetwork.states, []

    def short_of_memory(self: RecurrentNetwork, items: torch.Tensor, sizes: torch.Tensor) -> torch.Tensor:
        if not failed:
            failed.append(len(items))
            raise MemoryError
        return states(self, items, sizes)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RecurrentNetwork, "states", short_of_memory)
        halved = fitted(GRU, epochs=1, dropout=0.0)
    assert failed[0] > 1
    for name, weights in whole.weights_.items():
        np.testing.assert_allclose(weights, halved.weights_[name], atol=2e-4)


@pytest.mark.parametrize("loss", ["cross-entropy", "sampled", "gbce", "bce"])
def test_every_loss_learns(loss: str) -> None:
    train, test = made_data.communities()
    model = fitted(GRU, loss=loss, epochs=60, learning_rate=0.01, negatives=64)
    ranked, _ = rank_test_users(model.score, train, test, 10)
    assert np.nanmean(RANKING_METRICS["ndcg"].compute(ranked)) > 0.33
    assert fitted(GRU, loss=loss, negatives=64).weights_.keys() == model.weights_.keys()


def test_large_catalogues_are_sampled_and_steps_stay_short(monkeypatch: pytest.MonkeyPatch) -> None:
    open_choice, sampled = SASREC.load()(SASREC.params()), SASREC.load()(SASREC.params.parse({"loss": "sampled"}))
    assert isinstance(open_choice, SequenceRecommender)
    assert isinstance(sampled, SequenceRecommender)
    assert open_choice._loss(recommenders.MOST_COMPARED) == "cross-entropy"
    assert open_choice._batch_size(10**7, 3_700) == 4096
    assert open_choice._batch_size(10**7, 20_000) == 2000
    assert open_choice._batch_size(10**7, 20_001) == sampled._batch_size(10**7, 20_001) == 4096
    monkeypatch.setattr(recommenders, "MOST_COMPARED", 10)
    first, second = fitted(GRU, negatives=8), fitted(GRU, negatives=8, loss="sampled")
    np.testing.assert_array_equal(first.weights_["item_vectors"], second.weights_["item_vectors"])


@pytest.mark.parametrize("loss", ["cross-entropy", "sampled"])
def test_a_training_that_was_stopped_goes_on_to_the_same_result(
    loss: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "INTERVAL_SECONDS", 0.0)
    monkeypatch.setattr(checkpoints, "LARGEST_SHARE", 1e6)
    train = made_data.communities().train
    params = SASREC.params.parse({"epochs": 6, "factors": 8, "loss": loss, "negatives": 16})
    whole = SASREC.load()(params).fit(train, KitRun())
    stopped, resumed = KitRun(stop_after_steps=3), KitRun()
    stopped.checkpoints = resumed.checkpoints = tmp_path
    SASREC.load()(params).fit(train, stopped)
    assert stopped.steps == [1, 2, 3]
    model = SASREC.load()(params).fit(train, resumed)
    assert min(resumed.fractions) == 0.5
    assert isinstance(whole, SequenceRecommender)
    assert isinstance(model, SequenceRecommender)
    for name, weights in whole.weights_.items():
        np.testing.assert_array_equal(weights, model.weights_[name])


def test_heads_must_divide_the_factors() -> None:
    with pytest.raises(InvalidParameter, match="multiple of heads"):
        SASREC.params.parse({"factors": 10, "heads": 4})


@pytest.fixture(scope="module")
def planted() -> tuple[Dataset, Dataset, Any]:
    """Train part, test part and EASE's figures of data in which all but the order is known to say nothing."""
    data = make_planted_order(PlantedOrderParams(users=2000, clusters=4, visits=4), 0)
    split = split_leave_last_out(data, LeaveLastOutParams(), 0)
    ease = EASE.load()(EASE.params()).fit(split.train, RunContext(threads=1))
    ranked, _ = rank_test_users(ease.score, split.train, split.test, 10)
    return split.train, split.test, RANKING_METRICS["ndcg"].compute(ranked)


@pytest.mark.parametrize(
    ("spec", "params"),
    [
        (SASREC, {"epochs": 18, "learning_rate": 0.0025}),
        (GRU, {"epochs": 14, "learning_rate": 0.006}),
        (LSTM, {"epochs": 14, "learning_rate": 0.006}),
    ],
    ids=lambda value: getattr(value, "id", ""),
)
def test_a_planted_order_is_found_that_no_model_of_sets_can_find(
    spec: AlgorithmSpec, params: dict[str, Any], planted: tuple[Dataset, Dataset, Any]
) -> None:
    train, test, of_ease = planted
    model = fitted(spec, train, factors=64, dropout=0.1, shuffled=0.0, **params)
    ranked, _ = rank_test_users(model.score, train, test, 10)
    found = RANKING_METRICS["ndcg"].compute(ranked)
    # A model of sets can tell the cluster, and then has one chance in three among what is left of it.
    assert of_ease.mean() < (1 + 1 / np.log2(3) + 1 / 2) / 3 + 0.03
    assert found.mean() > 0.85
    assert paired_difference(found, of_ease).low > 0.1
