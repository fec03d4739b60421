"""What this package brings: its algorithms as light specifications."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import model_validator

from recsys_desktop.api import (
    AlgorithmSpec,
    Capabilities,
    Family,
    InteractionParams,
    Serves,
    TuningRange,
    hookimpl,
    param,
)


class SequenceParams(InteractionParams):
    """What the sequence recommenders share."""

    factors: int = param(
        64,
        help="Length of the vectors of items; longer ones tell finer tastes apart and need more data.",
        ge=1,
        le=1024,
        tune=TuningRange(32, 128, log=True),
    )
    length: int = param(
        200,
        help="How far back a history is read; a longer one sees more and trains slower. Shorter data take less.",
        ge=1,
        le=2000,
        unit="interactions",
        tune=TuningRange(50, 200, log=True),
    )
    dropout: float | None = param(
        None,
        help="Share of each layer's output that is left out at random in training; raise it against overfitting. auto "
        "goes by the amount of data.",
        empty="auto",
        ge=0,
        lt=1,
        tune=TuningRange(0.1, 0.6),
    )
    loss: Literal["auto", "cross-entropy", "sampled", "gbce", "bce"] = param(
        "auto",
        help="cross-entropy compares the next item with all others and ranks best; sampled, gbce and bce with some "
        "drawn ones. auto takes cross-entropy up to 20,000 items, else sampled.",
        advanced=True,
    )
    negatives: int = param(
        1024,
        help="Drawn items with which sampled and gbce compare; more rank better and train slower.",
        ge=1,
        le=100_000,
        advanced=True,
    )
    calibration: float = param(
        0.75,
        help="For gbce: 0 lets scores be too sure of themselves, 1 makes them probabilities.",
        ge=0,
        le=1,
        advanced=True,
    )
    earlier: float = param(
        0.5,
        help="For histories beyond the length: share of epochs that learn from an earlier part instead of the end.",
        ge=0,
        le=1,
        advanced=True,
    )
    shuffled: float = param(
        0.3,
        help="Share of histories learnt in random order at first, falling to none halfway through the epochs, so that "
        "what goes together is learnt before what follows.",
        ge=0,
        le=1,
        advanced=True,
    )
    learning_rate: float = param(
        0.003,
        help="First step size of Adam, which falls to a fiftieth by the last epoch; lower it where the loss jumps.",
        gt=0,
        le=1,
        tune=TuningRange(0.0005, 0.005, log=True),
    )
    weight_decay: float = param(
        0.0,
        help="Pull of every weight towards 0 in each step; raise it in small steps (1e-6) against overfitting.",
        ge=0,
        le=1,
        advanced=True,
    )
    batch_size: int = param(
        4096,
        help="Most interactions in one step; larger batches are faster and steadier. Small data take smaller ones.",
        ge=1,
        le=1_000_000,
        unit="interactions",
        advanced=True,
    )
    epochs: int = param(
        40,
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
    gradient_norm: float | None = param(
        1.0,
        help="Gradients longer than this are scaled down to it; lower it where the loss jumps, empty leaves them.",
        gt=0,
        advanced=True,
    )


class RecurrentParams(SequenceParams):
    """Parameters of GRU and LSTM."""

    hidden: int = param(
        128,
        help="Width of the state that is carried from item to item; a wider one remembers more and trains slower.",
        ge=1,
        le=2048,
        tune=TuningRange(64, 256, log=True),
    )
    layers: int = param(
        1, help="Layers of cells, one upon the other; one is usually enough.", ge=1, le=8, advanced=True
    )


class SasRecParams(SequenceParams):
    """Parameters of SASRec."""

    blocks: int = param(
        2,
        help="Blocks of attention and layers, one upon the other; more learn more and train slower.",
        ge=1,
        le=16,
        tune=TuningRange(1, 3),
    )
    heads: int = param(
        2, help="Parts of the vectors that attend on their own; factors must be a multiple.", ge=1, le=64, advanced=True
    )

    @model_validator(mode="after")
    def _divisible(self) -> SasRecParams:
        if self.factors % self.heads:
            raise ValueError(f"factors ({self.factors}) is no multiple of heads ({self.heads})")
        return self


_FROM_ORDER = Capabilities(
    serves=Serves.HISTORY,
    uses_timestamps=True,
    trains_in_epochs=True,
    similar_items=True,
    item_embeddings=True,
    randomised=True,
)

GRU = AlgorithmSpec(
    id="gru",
    name="GRU",
    family=Family.SEQUENCE,
    summary="Reads a history in order, item by item, with gated units that remember, and says what comes next.",
    implementation="recsys_sequence.recommenders:Gru",
    params=RecurrentParams,
    capabilities=_FROM_ORDER,
    paper="Hidasi et al., Session-based Recommendations with Recurrent Neural Networks, ICLR 2016, "
    "https://arxiv.org/abs/1511.06939",
)

LSTM = AlgorithmSpec(
    id="lstm",
    name="LSTM",
    family=Family.SEQUENCE,
    summary="As GRU, with a memory cell beside the state; slower, and rarely better.",
    implementation="recsys_sequence.recommenders:Lstm",
    params=RecurrentParams,
    capabilities=_FROM_ORDER,
    paper="Hochreiter and Schmidhuber, Long Short-Term Memory, Neural Computation 1997",
)

SASREC = AlgorithmSpec(
    id="sasrec",
    name="SASRec",
    family=Family.SEQUENCE,
    summary="Lets each step of a history attend to the earlier ones that matter, and says what comes next.",
    implementation="recsys_sequence.recommenders:SasRec",
    params=SasRecParams,
    capabilities=_FROM_ORDER,
    paper="Kang and McAuley, Self-Attentive Sequential Recommendation, ICDM 2018, https://arxiv.org/abs/1808.09781",
)


@hookimpl
def recsys_desktop_algorithms() -> Sequence[AlgorithmSpec]:
    """The algorithms of this package."""
    return (SASREC, GRU, LSTM)
