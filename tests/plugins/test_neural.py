"""Neural recommenders: the promises of the contract, their training, and what their scores are."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from recsys_desktop.api import DataShape, InvalidParameter, Query, RunContext, Source
from recsys_desktop.api.testing import AlgorithmConformance, KitRun, made_data
from recsys_desktop.toolkit.torch_training import seeded
from recsys_neural.autoencoders import DenoisingAutoencoder, MultVae
from recsys_neural.neural_cf import NeuralCf, _Network
from recsys_neural.plugin import AUTOENCODER, DENOISING_AUTOENCODER, MULT_VAE, NEURAL_CF

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
        personal = explanation.score - next(p.value for p in explanation.contributions if p.kind is Source.BIAS)
        named = sum(part.value for part in explanation.contributions if part.kind is Source.HISTORY)
        assert abs(personal - named) < abs(personal) + 1e-6


def naive_multinomial(model: MultVae, history: list[int]) -> npt.NDArray[Any]:
    """Logits of one history by the equations, item by item."""
    weights = model.weights_
    places = {int(code): place for place, code in enumerate(model.items_)}
    rows = weights["into_hidden"][[places[code] for code in history]]
    hidden = np.tanh(rows.sum(axis=0) / np.sqrt(len(history)) + weights["hidden_bias"])
    mean = hidden @ weights["into_mean"] + weights["mean_bias"]
    return mean @ weights["from_code"] + weights["item_bias"]


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
