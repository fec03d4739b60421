"""What this package brings: its algorithms as light specifications."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import field_validator

from recsys_desktop.api import (
    AlgorithmSpec,
    Capabilities,
    Family,
    InteractionParams,
    Needs,
    Params,
    Serves,
    TuningRange,
    hookimpl,
    param,
)
from recsys_neural.factorization_machine_specs import DEEP_FM, FACTORIZATION_MACHINE


class NeuralCfBaseParams(Params):
    """What NeuralCF takes for rankings and for ratings."""

    method: Literal["gmf", "mlp", "neumf"] = param(
        "gmf",
        help="gmf multiplies the vectors of person and item (fast, strong); mlp feeds both through layers; neumf joins "
        "the two.",
    )
    factors: int = param(
        64,
        help="Length of the vectors of people and items; longer ones tell finer tastes apart and need more data.",
        ge=1,
        le=1024,
        tune=TuningRange(16, 128, log=True),
    )
    layers: tuple[int, ...] = param(
        (32, 16),
        help="Widths of the layers of mlp and neumf, first to last; more and wider ones learn more and overfit sooner.",
        advanced=True,
    )
    vector_dropout: float = param(
        0.7,
        help="Share of the gmf part that is left out at random in training; raise it against overfitting.",
        ge=0,
        lt=1,
        tune=TuningRange(0.3, 0.8),
    )
    layer_dropout: float = param(
        0.5,
        help="Share of each layer's output that is left out at random in training; raise it against overfitting.",
        ge=0,
        lt=1,
        advanced=True,
    )
    learning_rate: float = param(
        0.015,
        help="First step size of Adam, which falls to a fiftieth by the last epoch; lower it where the loss jumps.",
        gt=0,
        le=1,
        tune=TuningRange(0.003, 0.03, log=True),
    )
    weight_decay: float = param(
        0.0,
        help="Pull of every weight towards 0 in each step; raise it in small steps (1e-6) against overfitting.",
        ge=0,
        le=1,
        advanced=True,
    )
    batch_size: int = param(
        2048,
        help="Most interactions in one step; larger batches are faster and steadier. Small data take smaller ones.",
        ge=1,
        le=1_000_000,
        unit="interactions",
        advanced=True,
    )
    epochs: int = param(
        15,
        help="The most passes over the data; early stopping ends training before, where there is validation data.",
        ge=1,
        le=10_000,
        unit="epochs",
    )
    patience: int = param(
        8,
        help="Validations without a better figure after which training ends; raise it where learning starts late.",
        ge=1,
        le=1000,
        advanced=True,
    )
    validate_every: int = param(
        1,
        help="Epochs between validations; raise it where validating takes longer than training.",
        ge=1,
        le=1000,
        unit="epochs",
        advanced=True,
    )
    gradient_norm: float | None = param(
        5.0,
        help="Gradients longer than this are scaled down to it; lower it where the loss jumps, empty leaves them.",
        gt=0,
        advanced=True,
    )

    @field_validator("layers")
    @classmethod
    def _sensible_widths(cls, widths: tuple[int, ...]) -> tuple[int, ...]:
        if any(not 1 <= width <= 8192 for width in widths):
            raise ValueError("every width is from 1 to 8192")
        return widths


class NeuralCfParams(NeuralCfBaseParams, InteractionParams):
    """Parameters of NeuralCF."""

    negatives: int = param(
        4,
        help="Items that the person has not met, drawn for each one they have; more rank better and train slower.",
        ge=1,
        le=256,
        tune=TuningRange(2, 16, log=True),
    )
    sampling_exponent: float = param(
        1.0,
        help="0 draws those items evenly, 1 as often as they are chosen; scores are corrected for it either way.",
        ge=0,
        le=1.5,
        tune=TuningRange(0.5, 1.0),
        advanced=True,
    )
    pretraining: int = param(
        0,
        help="Epochs for which gmf and mlp are first trained on their own before neumf joins them; 0 trains at once.",
        ge=0,
        le=10_000,
        unit="epochs",
        advanced=True,
    )


class NeuralCfRatingParams(NeuralCfBaseParams):
    """Parameters of NeuralCF for ratings."""

    vector_dropout: float = param(
        0.7,
        help="Share of the gmf part that is left out at random in training; raise it against overfitting.",
        ge=0,
        lt=1,
        tune=TuningRange(0.2, 0.8),
    )
    learning_rate: float = param(
        0.005,
        help="First step size of Adam, which falls to a fiftieth by the last epoch; lower it where the loss jumps.",
        gt=0,
        le=1,
        tune=TuningRange(0.001, 0.02, log=True),
    )
    weight_decay: float = param(
        2e-4,
        help="Pull of every weight towards 0 in each step; raise it in small steps against overfitting.",
        ge=0,
        le=1,
        tune=TuningRange(1e-6, 1e-3, log=True),
    )
    epochs: int = param(
        20,
        help="The most passes over the data; early stopping ends training before, where there is validation data.",
        ge=1,
        le=10_000,
        unit="epochs",
    )


NEURAL_CF = AlgorithmSpec(
    id="ncf",
    name="NeuralCF",
    family=Family.NEURAL,
    summary="Learns vectors of people and items, or layers over them, by telling chosen items from ones not met.",
    implementation="recsys_neural.neural_cf:NeuralCf",
    params=NeuralCfParams,
    capabilities=Capabilities(
        serves=Serves.KNOWN_USERS,
        trains_in_epochs=True,
        explains=True,
        similar_items=True,
        item_embeddings=True,
        user_embeddings=True,
        randomised=True,
    ),
    paper="He et al., Neural Collaborative Filtering, WWW 2017, https://arxiv.org/abs/1708.05031",
)


NEURAL_CF_RATING = AlgorithmSpec(
    id="ncf-rating",
    name="NeuralCF for ratings",
    family=Family.NEURAL,
    summary="Predicts ratings from learnt vectors of people and items, or from layers over them.",
    implementation="recsys_neural.neural_cf:NeuralCfRating",
    params=NeuralCfRatingParams,
    capabilities=Capabilities(
        serves=Serves.KNOWN_USERS,
        predicts_ratings=True,
        uses_ratings=True,
        trains_in_epochs=True,
        explains=True,
        similar_items=True,
        item_embeddings=True,
        user_embeddings=True,
        randomised=True,
    ),
    needs=Needs(ratings=True),
    paper="He et al., Neural Collaborative Filtering, WWW 2017, https://arxiv.org/abs/1708.05031",
)


class AutoencoderParams(InteractionParams):
    """Parameters of the autoencoder, and what the three autoencoders share."""

    hidden: int = param(
        200,
        help="Width of the hidden layer; a wider one remembers finer tastes and trains slower.",
        ge=1,
        le=8192,
        tune=TuningRange(50, 600, log=True),
    )
    learning_rate: float = param(
        0.003,
        help="First step size of Adam, which falls to a fiftieth by the last epoch; lower it where the loss jumps.",
        gt=0,
        le=1,
        tune=TuningRange(0.0003, 0.01, log=True),
    )
    weight_decay: float = param(
        0.0,
        help="Pull of every weight towards 0 in each step; raise it in small steps (1e-5) against overfitting.",
        ge=0,
        le=1,
        advanced=True,
    )
    batch_size: int = param(
        500,
        help="Most people in one step; larger batches are faster and steadier. Few people take smaller ones.",
        ge=1,
        le=100_000,
        unit="people",
        advanced=True,
    )
    epochs: int = param(
        50,
        help="The most passes over the data; early stopping ends training before, where there is validation data.",
        ge=1,
        le=10_000,
        unit="epochs",
    )
    patience: int = param(
        10,
        help="Validations without a better figure after which training ends; raise it where learning starts late.",
        ge=1,
        le=1000,
        advanced=True,
    )


class DenoisingAutoencoderParams(AutoencoderParams):
    """Parameters of the denoising autoencoder."""

    noise: float = param(
        0.5,
        help="Share of each history that is left out at random in training; raise it against overfitting.",
        ge=0,
        lt=1,
        tune=TuningRange(0.2, 0.8),
    )


class MultVaeParams(DenoisingAutoencoderParams):
    """Parameters of Mult-VAE."""

    hidden: int = param(
        400,
        help="Width of the hidden layer; a wider one remembers finer tastes and trains slower.",
        ge=1,
        le=8192,
        tune=TuningRange(50, 600, log=True),
    )
    noise: float = param(
        0.0,
        help="Share of each history that is left out at random in training; drawing codes does as much at 0.",
        ge=0,
        lt=1,
        tune=TuningRange(0.0, 0.6),
    )
    learning_rate: float = param(
        0.002,
        help="First step size of Adam, which falls to a fiftieth by the last epoch; lower it where the loss jumps.",
        gt=0,
        le=1,
        tune=TuningRange(0.0003, 0.01, log=True),
    )
    epochs: int = param(
        40,
        help="The most passes over the data; early stopping ends training before, where there is validation data.",
        ge=1,
        le=10_000,
        unit="epochs",
    )
    factors: int = param(
        200,
        help="Length of the code between encoder and decoder; a longer one tells finer tastes apart.",
        ge=1,
        le=4096,
        tune=TuningRange(32, 400, log=True),
    )
    divergence: float = param(
        2.0,
        help="How strongly codes are held near a standard normal distribution; raise it against overfitting.",
        ge=0,
        le=10,
        tune=TuningRange(0.5, 4.0),
    )
    annealing: float = param(
        1.0,
        help="Share of all steps over which that strength rises from 0.",
        ge=0,
        le=1,
        advanced=True,
    )


_FROM_HISTORIES = Capabilities(
    serves=Serves.HISTORY, trains_in_epochs=True, similar_items=True, item_embeddings=True, randomised=True
)

MULT_VAE = AlgorithmSpec(
    id="mult-vae",
    name="Mult-VAE",
    family=Family.NEURAL,
    summary="Draws a person's taste as a cloud of possibilities and restores their history from it; serves newcomers.",
    implementation="recsys_neural.autoencoders:MultVae",
    params=MultVaeParams,
    capabilities=_FROM_HISTORIES,
    paper="Liang et al., Variational Autoencoders for Collaborative Filtering, WWW 2018, "
    "https://arxiv.org/abs/1802.05814",
)

DENOISING_AUTOENCODER = AlgorithmSpec(
    id="denoising-autoencoder",
    name="Denoising autoencoder",
    family=Family.NEURAL,
    summary="Learns to restore histories of which a part was hidden; serves newcomers.",
    implementation="recsys_neural.autoencoders:DenoisingAutoencoder",
    params=DenoisingAutoencoderParams,
    capabilities=_FROM_HISTORIES,
    paper="Liang et al., Variational Autoencoders for Collaborative Filtering, WWW 2018, section 2.2, "
    "https://arxiv.org/abs/1802.05814",
)

AUTOENCODER = AlgorithmSpec(
    id="autoencoder",
    name="Autoencoder",
    family=Family.NEURAL,
    summary="Squeezes histories through a narrow layer; the plain form, to compare the denoising ones with.",
    implementation="recsys_neural.autoencoders:Autoencoder",
    params=AutoencoderParams,
    capabilities=_FROM_HISTORIES,
    paper="Sedhain et al., AutoRec: Autoencoders Meet Collaborative Filtering, WWW 2015",
)


class LightGcnParams(InteractionParams):
    """Parameters of LightGCN."""

    factors: int = param(
        64,
        help="Length of the vectors of people and items; longer ones tell finer tastes apart and need more data.",
        ge=1,
        le=1024,
        tune=TuningRange(32, 128, log=True),
    )
    layers: int = param(
        2,
        help="How many steps along the graph a vector is averaged over: with 1 a person's items count, with 2 the "
        "people who share them. 0 is plain matrix factorisation.",
        ge=0,
        le=8,
        tune=TuningRange(1, 4),
    )
    loss: Literal["softmax", "bpr"] = param(
        "softmax",
        help="softmax tells chosen items from all others (strong); bpr each from one drawn at random (the paper's).",
        advanced=True,
    )
    edge_dropout: float = param(
        0.3,
        help="Share of the interactions that is left out of the graph at random in training; raise it against "
        "overfitting.",
        ge=0,
        lt=1,
        tune=TuningRange(0.0, 0.6),
    )
    learning_rate: float = param(
        0.01,
        help="First step size of Adam, which falls to a fiftieth by the last epoch; lower it where the loss jumps.",
        gt=0,
        le=1,
        tune=TuningRange(0.001, 0.03, log=True),
    )
    weight_decay: float = param(
        1e-4,
        help="Pull of every weight towards 0 in each step; raise it in small steps (1e-5) against overfitting.",
        ge=0,
        le=1,
        advanced=True,
    )
    batch_size: int = param(
        500,
        help="Most people in one step; larger batches are faster and steadier. Few people take smaller ones.",
        ge=1,
        le=100_000,
        unit="people",
        advanced=True,
    )
    epochs: int = param(
        30,
        help="The most passes over the data; early stopping ends training before, where there is validation data.",
        ge=1,
        le=10_000,
        unit="epochs",
    )
    patience: int = param(
        8,
        help="Validations without a better figure after which training ends; raise it where learning starts late.",
        ge=1,
        le=1000,
        advanced=True,
    )


LIGHTGCN = AlgorithmSpec(
    id="lightgcn",
    name="LightGCN",
    family=Family.NEURAL,
    summary="Learns vectors of people and items, averaged along the graph of who chose what; serves newcomers.",
    implementation="recsys_neural.lightgcn:LightGcn",
    params=LightGcnParams,
    capabilities=Capabilities(
        serves=Serves.FOLD_IN,
        trains_in_epochs=True,
        explains=True,
        additive=True,
        similar_items=True,
        item_embeddings=True,
        randomised=True,
    ),
    paper="He et al., LightGCN: Simplifying and Powering Graph Convolution Network for Recommendation, SIGIR 2020, "
    "https://arxiv.org/abs/2002.02126",
)


@hookimpl
def recsys_desktop_algorithms() -> Sequence[AlgorithmSpec]:
    """The algorithms of this package."""
    return (
        NEURAL_CF,
        NEURAL_CF_RATING,
        FACTORIZATION_MACHINE,
        DEEP_FM,
        MULT_VAE,
        DENOISING_AUTOENCODER,
        AUTOENCODER,
        LIGHTGCN,
    )
