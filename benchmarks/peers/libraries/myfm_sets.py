"""myFM's Gibbs sampler over ids and implicit sets of both sides."""

from typing import Any

import myfm_exchange

OURS = "bayesian-fm"
OUR_PARAMS = {"factors": 8, "sweeps": 300, "implicit_sets": True, "side_features": False}
PACKAGES = ("myfm",)


def fit(train: Any, threads: int, seed: int) -> Any:
    """Rank 8, 300 sweeps, as ours here; the first fifth is thrown away."""
    return myfm_exchange.fit(train, seed, implicit_sets=True)


def answers(model: Any, train: Any) -> Any:
    """Predicted ratings of the test pairs."""
    return myfm_exchange.predictions(model, train)
