"""Lists and ratings to figures: ranked lists, metrics, significance."""

from recsys_desktop.evaluation.beyond_accuracy import (
    BEYOND_ACCURACY_METRICS,
    catalogue_coverage,
    gini,
    novelty,
    popularity,
    user_coverage,
)
from recsys_desktop.evaluation.ranked_lists import (
    RankingReport,
    TopK,
    rank_test_users,
    rank_users,
    relevant_items,
    test_users,
    top_k,
)
from recsys_desktop.evaluation.ranking import RANKING_METRICS, Judgement, judge
from recsys_desktop.evaluation.rating import UserErrors, mae, rmse, user_errors
from recsys_desktop.evaluation.significance import (
    Against,
    Difference,
    Interval,
    against_best,
    best_model,
    bootstrap_interval,
    holm,
    indistinguishable_from_best,
    paired_difference,
)

__all__ = [
    "BEYOND_ACCURACY_METRICS",
    "RANKING_METRICS",
    "Against",
    "Difference",
    "Interval",
    "Judgement",
    "RankingReport",
    "TopK",
    "UserErrors",
    "against_best",
    "best_model",
    "bootstrap_interval",
    "catalogue_coverage",
    "gini",
    "holm",
    "indistinguishable_from_best",
    "judge",
    "mae",
    "novelty",
    "paired_difference",
    "popularity",
    "rank_test_users",
    "rank_users",
    "relevant_items",
    "rmse",
    "test_users",
    "top_k",
    "user_coverage",
    "user_errors",
]
