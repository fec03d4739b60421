"""What this package brings: its algorithms as light specifications."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import field_validator

from recsys_desktop.api import AlgorithmSpec, Capabilities, Family, Params, Serves, TuningRange, hookimpl, param


class NeuralCfParams(Params):
    """Parameters of NeuralCF."""

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
    min_rating: float | None = param(
        None, help="Leave out interactions rated lower than this; empty counts every interaction alike.", advanced=True
    )

    @field_validator("layers")
    @classmethod
    def _sensible_widths(cls, widths: tuple[int, ...]) -> tuple[int, ...]:
        if any(not 1 <= width <= 8192 for width in widths):
            raise ValueError("every width is from 1 to 8192")
        return widths


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


@hookimpl
def recsys_desktop_algorithms() -> Sequence[AlgorithmSpec]:
    """The algorithms of this package."""
    return (NEURAL_CF,)
