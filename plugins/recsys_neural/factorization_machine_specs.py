"""The factorisation machine and DeepFM as light specifications."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from pydantic import field_validator

from recsys_desktop.api import AlgorithmSpec, Capabilities, Family, Params, Serves, TuningRange, param


class FactorizationMachineParams(Params):
    """Parameters of the factorisation machine, and what DeepFM shares with it."""

    mode: Literal["auto", "rating", "click", "ranking"] = param(
        "auto",
        help="rating predicts ratings; click tells what is chosen from what is not; ranking puts what was chosen above "
        "what was not; auto takes rating where there are ratings, else ranking.",
    )
    factors: int = param(
        64,
        help="Length of the vector of each person, item and feature; longer ones tell finer tastes apart.",
        ge=1,
        le=1024,
        tune=TuningRange(16, 128, log=True),
    )
    side_features: bool = param(
        True,
        help="Also learn from categories, tags, numbers and texts of items, and from attributes of people.",
        tune=TuningRange(choices=(True, False)),
    )
    text_topics: int = param(
        16,
        help="Topics that stand for the words of each text column; 0 leaves texts out.",
        ge=0,
        le=512,
        advanced=True,
    )
    moments: bool = param(
        True,
        help="Also learn from the hour of the day and the day of the week, where there are timestamps.",
        advanced=True,
    )
    regularisation: float = param(
        0.04,
        help="How strongly vectors are held back for each interaction they rest on; raise it against overfitting.",
        ge=0,
        le=10,
        tune=TuningRange(0.002, 0.1, log=True),
    )
    dropout: float = param(
        0.0,
        help="Share of each product of vectors that is left out at random in training; raise it against overfitting.",
        ge=0,
        lt=1,
        tune=TuningRange(0.0, 0.7),
    )
    learning_rate: float = param(
        0.005,
        help="First step size of Adam, which falls to a fiftieth by the last epoch; lower it where the loss jumps.",
        gt=0,
        le=1,
        tune=TuningRange(0.001, 0.02, log=True),
    )
    ranking_loss: Literal["bpr", "softmax"] = param(
        "softmax",
        help="For ranking: bpr compares what was chosen with one drawn item at a time, softmax with all of them at "
        "once.",
        advanced=True,
    )
    negatives: int = param(
        16,
        help="For click and ranking: items that the person has not met, drawn for each one they have; more rank "
        "better and train slower.",
        ge=1,
        le=1024,
        tune=TuningRange(4, 64, log=True),
    )
    min_rating: float | None = param(
        None,
        help="For click and ranking: ratings lower than this are not choices; click then learns from them what is not "
        "chosen, instead of from drawn items. Empty counts every interaction as a choice.",
        advanced=True,
    )
    batch_size: int = param(
        16_384,
        help="Most pairs of a person and an item in one step, drawn items among them; larger batches are faster and "
        "steadier. Small data take smaller ones.",
        ge=1,
        le=10_000_000,
        unit="pairs",
        advanced=True,
    )
    epochs: int = param(
        8,
        help="The most passes over the data; early stopping ends training before, where there is validation data.",
        ge=1,
        le=10_000,
        unit="epochs",
    )
    patience: int = param(
        5,
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


class DeepFmParams(FactorizationMachineParams):
    """Parameters of DeepFM."""

    factors: int = param(
        32,
        help="Length of the vector of each person, item and feature; longer ones tell finer tastes apart.",
        ge=1,
        le=1024,
        tune=TuningRange(8, 64, log=True),
    )
    regularisation: float = param(
        0.03,
        help="How strongly vectors are held back for each interaction they rest on; raise it against overfitting.",
        ge=0,
        le=10,
        tune=TuningRange(0.002, 0.1, log=True),
    )
    layers: tuple[int, ...] = param(
        (32, 16),
        help="Widths of the layers, first to last; more and wider ones learn more and overfit sooner.",
        advanced=True,
    )
    layer_dropout: float = param(
        0.5,
        help="Share of each layer's output that is left out at random in training; raise it against overfitting.",
        ge=0,
        lt=1,
        tune=TuningRange(0.0, 0.6),
    )

    @field_validator("layers")
    @classmethod
    def _sensible_widths(cls, widths: tuple[int, ...]) -> tuple[int, ...]:
        if not widths or any(not 1 <= width <= 8192 for width in widths):
            raise ValueError("at least one width, every one from 1 to 8192")
        return widths


_CAPABILITIES = Capabilities(
    serves=Serves.FOLD_IN,
    predicts_ratings=True,
    uses_ratings=True,
    uses_text=True,
    uses_features=True,
    uses_timestamps=True,
    trains_in_epochs=True,
    scores_new_items=True,
    explains=True,
    similar_items=True,
    item_embeddings=True,
    user_embeddings=True,
    randomised=True,
)

FACTORIZATION_MACHINE = AlgorithmSpec(
    id="fm",
    name="Factorisation machine",
    family=Family.NEURAL,
    summary="Learns how every feature of a person and an item go together; rates or ranks, new items too.",
    implementation="recsys_neural.factorization_machine:FactorizationMachine",
    params=FactorizationMachineParams,
    capabilities=replace(_CAPABILITIES, additive=True),
    paper="Rendle, Factorization Machines, ICDM 2010, doi:10.1109/ICDM.2010.127",
)

DEEP_FM = AlgorithmSpec(
    id="deepfm",
    name="DeepFM",
    family=Family.NEURAL,
    summary="A factorisation machine and layers over the same vectors of features; rates or ranks, new items too.",
    implementation="recsys_neural.factorization_machine:DeepFm",
    params=DeepFmParams,
    capabilities=_CAPABILITIES,
    paper="Guo et al., DeepFM: A Factorization-Machine based Neural Network for CTR Prediction, IJCAI 2017, "
    "https://arxiv.org/abs/1703.04247",
)
