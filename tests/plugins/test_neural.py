"""Neural recommenders: the promises of the contract, their training, and what their scores are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from recsys_desktop.api import DataShape, InvalidParameter, Query, Recommender, RunContext, Source
from recsys_desktop.api.testing import AlgorithmConformance, KitRun, made_data
from recsys_desktop.toolkit import checkpoints, torch_training
from recsys_desktop.toolkit.bias import fit_biases
from recsys_desktop.toolkit.torch_training import seeded
from recsys_neural.autoencoders import DenoisingAutoencoder, MultVae
from recsys_neural.lightgcn import LightGcn
from recsys_neural.neural_cf import NeuralCf, NeuralCfRating, _Network
from recsys_neural.plugin import AUTOENCODER, DENOISING_AUTOENCODER, LIGHTGCN, MULT_VAE, NEURAL_CF, NEURAL_CF_RATING

SMALL = (DataShape(2000, 800, 100_000), DataShape(8000, 1600, 400_000))


class TestNeuralCf(AlgorithmConformance):
    spec = NEURAL_CF
    forecast_params = {"epochs": 1}
    forecast_shapes = SMALL


class TestNeuMf(AlgorithmConformance):
    spec = NEURAL_CF
    params = {"method": "neumf"}
    forecast_params = {"method": "neumf", "epochs": 1}
    forecast_shapes = SMALL


class TestNeuralCfRating(AlgorithmConformance):
    spec = NEURAL_CF_RATING
    forecast_params = {"epochs": 1}
    forecast_shapes = SMALL


class TestMultVae(AlgorithmConformance):
    spec = MULT_VAE
    forecast_params = {"epochs": 1}
    forecast_shapes = SMALL


class TestDenoisingAutoencoder(AlgorithmConformance):
    spec = DENOISING_AUTOENCODER
    forecast_params = {"epochs": 1}
    forecast_shapes = SMALL


class TestAutoencoder(AlgorithmConformance):
    spec = AUTOENCODER
    forecast_params = {"epochs": 1}
    forecast_shapes = SMALL


class TestLightGcn(AlgorithmConformance):
    spec = LIGHTGCN
    forecast_params = {"epochs": 1}
    forecast_shapes = SMALL


class TestLightGcnByPairs(AlgorithmConformance):
    spec = LIGHTGCN
    params = {"loss": "bpr"}
    forecast_params = {"loss": "bpr", "epochs": 1}
    forecast_shapes = SMALL


class Interrupted(RunContext):
    """Leaves a training in the middle, after so many epochs."""

    def __init__(self, epochs: int, folder: Path | None, leave_after: int = 1_000) -> None:
        super().__init__(3, threads=1, device="cpu", epochs=epochs, checkpoints=folder)
        self.leave_after = leave_after

    def log(self, step: int, **values: float) -> None:
        if step > self.leave_after:
            raise KeyboardInterrupt


@pytest.mark.parametrize("spec", [NEURAL_CF, MULT_VAE, DENOISING_AUTOENCODER, LIGHTGCN], ids=lambda spec: spec.id)
def test_an_interrupted_training_is_resumed_to_the_same_bits(
    spec: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "INTERVAL_SECONDS", 0.0)
    monkeypatch.setattr(checkpoints, "LARGEST_SHARE", float("inf"))
    data = made_data.communities().train

    def fit(run: RunContext) -> Recommender:
        model: Recommender = spec.load()(spec.params())
        return model.fit(data, run)

    whole = fit(Interrupted(6, None)).fitted_state()
    with pytest.raises(KeyboardInterrupt):
        fit(Interrupted(6, tmp_path, 3))
    assert list(tmp_path.glob("*.safetensors"))
    resumed = fit(Interrupted(6, tmp_path)).fitted_state()
    found, expected = (state.get("weights_", state) for state in (resumed, whole))
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)


@pytest.mark.parametrize("spec", [NEURAL_CF, MULT_VAE, LIGHTGCN], ids=lambda spec: spec.id)
def test_short_memory_halves_the_batches_and_learns_the_same(spec: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    data = made_data.communities().train
    off = {"vector_dropout": 0.0} if spec is NEURAL_CF else {"edge_dropout": 0.0} if spec is LIGHTGCN else {"noise": 0}
    # Draws of the code differ in parts; without divergence and with one epoch they hardly matter.
    params = spec.params.parse({**off, "epochs": 1})

    def scores() -> npt.NDArray[Any]:
        model: Recommender = spec.load()(params)
        model.fit(data, RunContext(3, threads=1, device="cpu", epochs=1))
        return model.score(Query.of_users(data, np.arange(20)))

    whole = scores()
    original = torch_training._Training._accumulated
    largest: list[int] = []

    def short(self: Any, pieces: Any) -> Any:
        if len(pieces) < 4:
            raise torch.OutOfMemoryError("CUDA out of memory")
        largest.append(len(pieces))
        return original(self, pieces)

    monkeypatch.setattr(torch_training._Training, "_accumulated", short)
    halved = scores()
    assert set(largest) == {4}
    known = np.isfinite(whole)
    assert np.corrcoef(whole[known], halved[known])[0, 1] > 0.99


def fitted(**params: Any) -> NeuralCf:
    model = NeuralCf(NEURAL_CF.params.parse({"epochs": 2, **params}))
    return model.fit(made_data.communities().train, RunContext(3, threads=1, device="cpu"))


@pytest.mark.parametrize(
    "params",
    [{"method": "gmf"}, {"method": "mlp"}, {"method": "neumf", "layers": (8, 4, 2)}, {"method": "mlp", "layers": ()}],
)
def test_scores_are_what_the_network_computes(params: dict[str, Any]) -> None:
    model = fitted(factors=5, **params)
    network = _Network(model.n_users, model.n_items, model.params, seeded(RunContext(), "any"))
    network.load_state_dict({name: torch.from_numpy(array) for name, array in model.weights_.items()})
    network.eval()
    query = Query.of_users(made_data.communities().train, np.arange(10))
    items = torch.arange(model.n_items).repeat(10, 1)
    with torch.no_grad():
        expected = network(torch.arange(10), items).numpy()
    known = model.known_items_
    np.testing.assert_allclose(model.score(query)[:, known], expected[:, known], rtol=1e-4, atol=1e-5)


def test_ratings_begin_at_the_biases_and_end_nearer() -> None:
    train = made_data.communities().train
    assert train.ratings is not None
    biases = fit_biases(train, None, None, RunContext())
    start = NeuralCfRating().fit(train, KitRun(epochs=0))
    expected = np.clip(biases.ratings(biases.users), 1, 5)
    everyone = Query.of_users(train, np.flatnonzero(train.user_counts))
    found = start.predict(everyone)
    known = start.known_items_
    np.testing.assert_allclose(found[:, known], expected[everyone.users][:, known], atol=0.05)
    learnt = NeuralCfRating().fit(train, KitRun(epochs=10))
    pairs = (np.searchsorted(everyone.users, train.users), train.items)
    errors = [float(np.mean((model.predict(everyone)[pairs] - train.ratings) ** 2)) for model in (start, learnt)]
    assert errors[1] < 0.8 * errors[0]


def test_pretrained_branches_are_joined_so_that_each_counts_half() -> None:
    generator = seeded(RunContext(), "any")
    both, product, tower = (
        _Network(6, 9, NEURAL_CF.params.parse({"method": method, "factors": 4}), generator).eval()
        for method in ("neumf", "gmf", "mlp")
    )
    both.join(product, tower)
    users, items = torch.arange(6), torch.arange(9).repeat(6, 1)
    with torch.no_grad():
        halves = (product(users, items) + tower(users, items)) / 2
        torch.testing.assert_close(both(users, items), halves)


def test_pretraining_trains_each_branch_first() -> None:
    run = KitRun(epochs=3)
    params = NEURAL_CF.params.parse({"method": "neumf", "pretraining": 2})
    NeuralCf(params).fit(made_data.communities().train, run)
    assert [(step, next(iter(values))) for step, values in run.logged] == [
        *((step, "gmf loss") for step in (1, 2)),
        *((step, "mlp loss") for step in (1, 2)),
        *((step, "loss") for step in (1, 2, 3)),
    ]
    losses = [next(iter(values.values())) for _, values in run.logged]
    assert losses[4] < losses[0]


def test_training_begins_at_popularity() -> None:
    train = made_data.communities().train
    model = NeuralCf().fit(train, KitRun(stop_after_checks=0))
    scores = model.score(Query.of_users(train, [0]))[0]
    popular = np.flatnonzero(train.item_counts >= np.sort(train.item_counts)[-5])
    assert set(np.argsort(-np.nan_to_num(scores, nan=-99))[:3].tolist()) <= set(popular.tolist())


def test_sampling_by_popularity_is_corrected_in_the_scores() -> None:
    """Without anything personal, scores approach each item's log-odds, however the negatives were drawn."""
    data = made_data.communities().train
    correlations = []
    for exponent in (0.0, 1.0):
        model = fitted(sampling_exponent=exponent, vector_dropout=0.99, epochs=8)
        mean = model.score(Query.of_users(data, np.arange(60)))[:, model.known_items_].mean(axis=0)
        correlations.append(np.corrcoef(mean, np.log(data.item_counts[model.known_items_]))[0, 1])
    assert min(correlations) > 0.9


def test_items_rated_too_low_are_not_learnt_from() -> None:
    train = made_data.communities().train
    assert train.ratings is not None
    model = fitted(min_rating=4)
    liked = train.subset(train.ratings >= 4)
    np.testing.assert_array_equal(model.known_items_, liked.item_counts > 0)


def test_layer_widths_are_checked_by_name() -> None:
    with pytest.raises(InvalidParameter, match="layers"):
        NEURAL_CF.params.parse({"method": "mlp", "layers": (16, 0)})


def test_the_explanation_names_popularity_and_the_history() -> None:
    train = made_data.communities().train
    model = NeuralCf().fit(train, RunContext(3, threads=1, device="cpu"))
    query = Query.of_users(train, [4])
    items = np.argsort(-np.nan_to_num(model.score(query)[0], nan=-99))[:5]
    for explanation in model.explain(query, items):
        kinds = {part.kind for part in explanation.contributions}
        assert kinds == {Source.BIAS, Source.HISTORY}
        bias = next(p.value for p in explanation.contributions if p.kind is Source.BIAS)
        personal = explanation.score - explanation.base - bias
        named = sum(part.value for part in explanation.contributions if part.kind is Source.HISTORY)
        assert abs(personal - named) < abs(personal) + 1e-6


@pytest.mark.parametrize("method", ["gmf", "mlp", "neumf"])
def test_explained_biases_say_how_an_item_stands_with_everybody(method: str) -> None:
    train = made_data.communities().train
    model = fitted(method=method, epochs=10)
    items = np.flatnonzero(model.known_items_)
    people = [4, 7]
    biases = np.array(
        [
            [
                next(part.value for part in explanation.contributions if part.kind is Source.BIAS)
                for explanation in model.explain(Query.of_users(train, [person]), items)
            ]
            for person in people
        ]
    )
    np.testing.assert_allclose(biases[0], biases[1], atol=1e-6)
    assert biases[0].mean() == pytest.approx(0, abs=1e-4)
    assert biases[0, np.argmax(train.item_counts[items])] > 0, "what most people choose stands above the average item"


def naive_multinomial(model: MultVae, history: list[int]) -> npt.NDArray[Any]:
    """Logits of one history by the equations, item by item."""
    weights = model.weights_
    places = {int(code): place for place, code in enumerate(model.items_)}
    rows = weights["into_hidden"][[places[code] for code in history]]
    hidden = np.tanh(rows.sum(axis=0) / np.sqrt(len(history)) + weights["hidden_bias"])
    mean = hidden @ weights["into_mean"] + weights["mean_bias"]
    logits: npt.NDArray[Any] = mean @ weights["from_code"] + weights["item_bias"]
    return logits


def test_the_scores_of_mult_vae_are_the_logits_of_its_mean_code() -> None:
    train = made_data.communities().train
    model = MultVae(MULT_VAE.params.parse({"epochs": 3, "hidden": 7, "factors": 5})).fit(
        train, RunContext(device="cpu")
    )
    scores = model.score(Query.of_history([3, 8, 5]))[0]
    np.testing.assert_allclose(scores[model.items_], naive_multinomial(model, [3, 8, 5]), rtol=1e-4, atol=1e-5)


def test_the_weight_of_the_divergence_rises_to_its_full_strength() -> None:
    model = MultVae(MULT_VAE.params.parse({"divergence": 0.4, "annealing": 0.5}))
    weights = [model._divergence_weight(step, 100) for step in (1, 25, 50, 100)]
    assert weights == pytest.approx([0.008, 0.2, 0.4, 0.4])


def test_reconstruction_is_logged_and_improves() -> None:
    run = KitRun(epochs=12)
    DenoisingAutoencoder().fit(made_data.communities().train, run)
    figures = [values["reconstruction"] for _, values in run.logged]
    assert figures[-1] < figures[0] - 0.1


def dense_lightgcn(model: LightGcn, own: npt.NDArray[Any], history: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The smoothed vectors of all nodes by the equations, with a dense adjacency matrix."""
    n_users, n_items = history.shape
    adjacency = np.zeros((n_users + n_items, n_users + n_items))
    adjacency[:n_users, n_users:] = history
    adjacency += adjacency.T
    degrees = np.maximum(adjacency.sum(axis=1), 1)
    adjacency /= np.sqrt(degrees[:, None] * degrees)
    layers = [own]
    for _ in range(model.params.layers):
        layers.append(adjacency @ layers[-1])
    average: npt.NDArray[Any] = np.mean(layers, axis=0)
    return average


@pytest.mark.parametrize("layers", [0, 1, 3])
def test_the_vectors_of_lightgcn_are_averages_over_the_graph(layers: int) -> None:
    train = made_data.communities().train
    run = KitRun(stop_after_checks=0)
    model = LightGcn(LIGHTGCN.params.parse({"layers": layers, "factors": 6})).fit(train, run)
    drawn = torch.empty(train.n_users + int(model.known_items_.sum()), 6)
    drawn.normal_(0, 0.1, generator=seeded(run, "weights"))
    own = np.zeros((train.n_users + train.n_items, 6))
    own[np.concatenate((np.ones(train.n_users, dtype=np.bool_), model.known_items_))] = drawn.numpy()
    history = train.matrix("one").toarray()
    expected = dense_lightgcn(model, own, history)
    people, known = np.flatnonzero(train.user_counts), model.known_items_
    popularity = np.log(np.maximum(train.item_counts, 1) / len(train))
    scores = expected[people] @ expected[train.n_users :].T + popularity
    found = model.score(Query.of_users(train, people))
    np.testing.assert_allclose(found[:, known], scores[:, known], rtol=1e-3, atol=1e-5)


def test_a_changed_history_moves_the_scores_of_lightgcn() -> None:
    train = made_data.communities().train
    model = LightGcn().fit(train, RunContext(3, threads=1, device="cpu", epochs=3))
    query = Query.of_users(train, [4])
    without = query.without(0, query.items[:3].tolist())
    assert np.nanmax(np.abs(model.score(query) - model.score(without))) > 1e-3
