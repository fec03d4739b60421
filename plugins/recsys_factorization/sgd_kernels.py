"""Compiled kernels of stochastic gradient descent on ratings, without the GIL."""

from __future__ import annotations

import numba
import numpy as np

from recsys_desktop.api.dataset import Float32, Int32


@numba.njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def descend_on_ratings(
    begin: int,
    end: int,
    users: Int32,
    items: Int32,
    targets: Float32,
    user_biases: Float32,
    item_biases: Float32,
    user_factors: Float32,
    item_factors: Float32,
    user_penalty: Float32,
    item_penalty: Float32,
    rate: float,
) -> float:
    """One gradient step on each of the ratings `begin` to `end`, in place; the sum of squared errors met on the way.

    The step of one rating is that of (target - b_u - b_i - p_u.q_i)^2 + penalty[u, 0] b_u^2 + penalty[u, 1] |p_u|^2 +
    penalty[i, 0] b_i^2 + penalty[i, 1] |q_i|^2, of size rate / 2 (Koren, Bell, Volinsky 2009, equation 5). The gradient
    of the penalty is taken where the step ends: w = (w + rate error x) / (1 + rate penalty), which no penalty, however
    large, throws beyond 0.

    Parameters
    ----------
    users, items: int32 (ratings,). targets: float32 (ratings,), deviations from the mean.
    user_biases: float32 (n_users,). user_factors: float32 (n_users, dimensions). Those of items likewise.
    user_penalty: float32 (n_users, 2), item_penalty: float32 (n_items, 2): of bias and of factors, for each rating.
    """
    dimensions = user_factors.shape[1]
    squared = 0.0
    step, one = np.float32(rate), np.float32(1.0)
    for at in range(begin, end):
        user, item = users[at], items[at]
        person, thing = user_factors[user], item_factors[item]
        inner = np.float32(0.0)
        for f in range(dimensions):
            inner += person[f] * thing[f]
        error = targets[at] - user_biases[user] - item_biases[item] - inner
        squared += error * error
        weighted = step * error
        user_biases[user] = (user_biases[user] + weighted) / (one + step * user_penalty[user, 0])
        item_biases[item] = (item_biases[item] + weighted) / (one + step * item_penalty[item, 0])
        user_decay = one / (one + step * user_penalty[user, 1])
        item_decay = one / (one + step * item_penalty[item, 1])
        for f in range(dimensions):
            before = person[f]
            person[f] = user_decay * (before + weighted * thing[f])
            thing[f] = item_decay * (thing[f] + weighted * before)
    return squared
