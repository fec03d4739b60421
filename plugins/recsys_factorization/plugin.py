"""What this package brings: its algorithms as light specifications."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

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


class ImplicitALSParams(InteractionParams):
    """Parameters of implicit alternating least squares."""

    factors: int = param(
        128,
        help="Numbers that describe each person and item; more can tell finer tastes apart and take longer.",
        ge=1,
        le=2048,
        tune=TuningRange(32, 256, log=True),
    )
    regularisation: float = param(
        1.0,
        help="How strongly factors are held back, relative to the level at which patterns of mere chance would show in "
        "this data; raise it where histories are short or noisy.",
        gt=0,
        le=100,
        tune=TuningRange(0.4, 2.5, log=True),
    )
    unobserved_weight: float = param(
        10.0,
        help="Weight of all pairs that never met, together, relative to that of all observed ones; raising it trusts "
        "more that what was not chosen was not wanted.",
        gt=0,
        le=10_000,
        tune=TuningRange(3.0, 30.0, log=True),
    )
    frequency_exponent: float = param(
        0.5,
        help="How far the regularisation of a person or item grows with its number of interactions plus "
        "'unobserved_weight' times the mean number: 0 not at all, 1 in proportion.",
        ge=0,
        le=2,
        tune=TuningRange(0.0, 1.0),
        advanced=True,
    )
    iterations: int = param(
        15,
        help="Sweeps over all people and all items; the objective hardly falls after some fifteen.",
        ge=1,
        le=500,
    )
    popularity: float | None = param(
        None,
        help="How much popularity counts beside the history: at 1 the share of people who have an item is added to its "
        "score. auto tries 0, 1, 10 and 100 on data set aside where people have fewer than ten interactions on the "
        "mean; else it is 0.",
        empty="auto",
        ge=0,
        le=1000,
        tune=TuningRange(0.0, 3.0),
        advanced=True,
    )


IMPLICIT_ALS = AlgorithmSpec(
    id="ials",
    name="Implicit ALS",
    family=Family.FACTORISATION,
    summary="Fast factorisation of what people chose; strong lists on data of every size.",
    implementation="recsys_factorization.implicit_als:ImplicitALS",
    params=ImplicitALSParams,
    capabilities=Capabilities(
        serves=Serves.HISTORY,
        explains=True,
        additive=True,
        updates_live=True,
        similar_items=True,
        item_embeddings=True,
        user_embeddings=True,
        randomised=True,
    ),
    paper="Hu, Koren, Volinsky 2008, doi:10.1109/ICDM.2008.22; Rendle et al. 2021, arXiv:2110.14037",
)


class SingularVectorParams(Params):
    """Parameters that models of leading singular vectors share; `rank`, which they do not, is theirs to declare."""

    rank: int | None
    history_exponent: float = param(
        0.25,
        help="How much less each interaction of a person with a long history counts: 0 not at all less, 0.5 makes all "
        "people count alike.",
        ge=0,
        le=1,
        tune=TuningRange(0.0, 0.5),
        advanced=True,
    )


class PureSVDParams(SingularVectorParams, InteractionParams):
    """Parameters of PureSVD."""

    rank: int | None = param(
        None,
        help="How many singular vectors are kept; few tell the main patterns, many tell rare ones and chance as well. "
        "auto tries ten numbers from 1 to 64 on data set aside.",
        empty="auto",
        ge=1,
        le=1024,
        tune=TuningRange(4, 128, log=True),
    )
    popularity: float | None = param(
        None,
        help="How much popularity counts beside the history: at 1 the share of people who have an item is added to its "
        "score. auto tries 10, 100, 1 and 0 on data set aside where people have fewer than ten interactions on the "
        "mean; else it is 0.",
        empty="auto",
        ge=0,
        le=1000,
        tune=TuningRange(0.0, 3.0),
        advanced=True,
    )


PURE_SVD = AlgorithmSpec(
    id="pure-svd",
    name="PureSVD",
    family=Family.FACTORISATION,
    summary="The main patterns of who chose what, by one decomposition; each choice's part in a score is exact.",
    implementation="recsys_factorization.singular_vectors:PureSVD",
    params=PureSVDParams,
    capabilities=Capabilities(
        serves=Serves.HISTORY,
        explains=True,
        additive=True,
        faithful_to_removal=True,
        updates_live=True,
        similar_items=True,
        item_embeddings=True,
        user_embeddings=True,
        randomised=True,
    ),
    paper="Cremonesi, Koren, Turrin 2010, doi:10.1145/1864708.1864721; Halko, Martinsson, Tropp 2011, arXiv:0909.4061",
)


_RIDGE_CAPABILITIES = Capabilities(
    serves=Serves.HISTORY,
    predicts_ratings=True,
    uses_ratings=True,
    explains=True,
    additive=True,
    updates_live=True,
    similar_items=True,
    item_embeddings=True,
    user_embeddings=True,
    randomised=True,
)


class RidgeParams(Params):
    """Parameters that rating factorisations with ridge penalties share."""

    factors: int = param(
        64,
        help="Numbers that describe each person and item; more can tell finer tastes apart and take longer.",
        ge=1,
        le=1024,
        tune=TuningRange(16, 128, log=True),
    )
    regularisation: float = param(
        0.05,
        help="How strongly factors are held back for each rating they rest on, relative to the spread of ratings.",
        gt=0,
        le=10,
        tune=TuningRange(0.02, 0.15, log=True),
    )
    factor_shrinkage: float = param(
        2.0,
        help="Draws the factors of people and items with few ratings towards 0, where the averages alone speak; as if "
        "that many ratings said nothing.",
        unit="ratings",
        gt=0,
        le=1000,
        tune=TuningRange(0.3, 10.0, log=True),
        advanced=True,
    )
    bias_shrinkage: float = param(
        3.0,
        help="Draws the average of people and items with few ratings towards the overall one; as if that many ratings "
        "were average.",
        unit="ratings",
        gt=0,
        le=1000,
        tune=TuningRange(1.0, 15.0, log=True),
        advanced=True,
    )


class SVDParams(RidgeParams):
    """Parameters of biased, regularised SVD."""

    epochs: int = param(30, help="Passes over the ratings; the step falls to nothing by the last.", ge=1, le=1000)
    learning_rate: float = param(
        0.03,
        help="Size of the first gradient steps; lower is slower and steadier.",
        gt=0,
        le=0.5,
        tune=TuningRange(0.01, 0.06, log=True),
    )


SVD = AlgorithmSpec(
    id="svd",
    name="SVD",
    family=Family.FACTORISATION,
    summary="Predicts ratings from learnt tastes; fast, and good at most sizes.",
    implementation="recsys_factorization.svd:BiasedSVD",
    params=SVDParams,
    capabilities=_RIDGE_CAPABILITIES,
    needs=Needs(ratings=True),
    paper="Koren, Bell, Volinsky 2009, doi:10.1109/MC.2009.263",
)


class SVDPPParams(RidgeParams):
    """Parameters of SVD++."""

    regularisation: float = param(
        0.06,
        help="How strongly factors are held back for each rating they rest on, relative to the spread of ratings.",
        gt=0,
        le=10,
        tune=TuningRange(0.02, 0.15, log=True),
    )
    factor_shrinkage: float = param(
        4.0,
        help="Draws the factors of people and items with few ratings towards 0, where the averages alone speak; as if "
        "that many ratings said nothing.",
        unit="ratings",
        gt=0,
        le=1000,
        tune=TuningRange(1.0, 15.0, log=True),
        advanced=True,
    )
    set_shrinkage: float = param(
        2000.0,
        help="Draws what is read into the mere fact that a person has rated an item towards nothing, most where "
        "ratings are few: as if this many, over the mean number of ratings of an item or a person, said nothing.",
        unit="ratings²",
        ge=0,
        le=1_000_000,
        tune=TuningRange(300.0, 10_000.0, log=True),
        advanced=True,
    )
    epochs: int | None = param(
        None,
        help="Passes over the ratings, by user and by item in turn; the step falls to nothing. auto takes 30, and "
        "more where there are fewer than 20,000 ratings.",
        empty="auto",
        ge=2,
        le=1000,
        tune=TuningRange(20, 80, log=True),
    )
    learning_rate: float = param(
        0.03,
        help="Size of the first gradient steps; lower is slower and steadier.",
        gt=0,
        le=0.3,
        tune=TuningRange(0.01, 0.06, log=True),
    )
    temporal_dynamics: bool = param(
        True,
        help="Let people's levels drift and items' averages change with time. More accurate for a stated moment, a "
        "little less so without one.",
        tune=TuningRange(choices=(True, False)),
    )


SVDPP = AlgorithmSpec(
    id="svdpp",
    name="SVD++",
    family=Family.FACTORISATION,
    summary="Predicts ratings also from what was rated by whom, whatever the ratings; more accurate than SVD.",
    implementation="recsys_factorization.svdpp:SVDPlusPlus",
    params=SVDPPParams,
    capabilities=replace(_RIDGE_CAPABILITIES, uses_timestamps=True),
    needs=Needs(ratings=True),
    paper="Koren 2008, doi:10.1145/1401890.1401944; Koren 2009, doi:10.1145/1557019.1557072",
)


class ALSParams(RidgeParams):
    """Parameters of explicit alternating least squares."""

    factors: int = param(
        32,
        help="Numbers that describe each person and item; more can tell finer tastes apart and take longer.",
        ge=1,
        le=1024,
        tune=TuningRange(8, 64, log=True),
    )
    factor_shrinkage: float = param(
        5.0,
        help="Draws the factors of people and items with few ratings towards 0, where the averages alone speak; as if "
        "that many ratings said nothing.",
        unit="ratings",
        gt=0,
        le=1000,
        tune=TuningRange(1.0, 15.0, log=True),
        advanced=True,
    )
    iterations: int = param(10, help="Sweeps over all people and all items.", ge=1, le=500)


ALS = AlgorithmSpec(
    id="als",
    name="ALS (ratings)",
    family=Family.FACTORISATION,
    summary="Predicts ratings by exact alternating steps; no learning rate, and the same on any number of threads.",
    implementation="recsys_factorization.als:ExplicitALS",
    params=ALSParams,
    capabilities=_RIDGE_CAPABILITIES,
    needs=Needs(ratings=True),
    paper="Zhou, Wilkinson, Schreiber, Pan 2008, doi:10.1007/978-3-540-68880-8_32",
)


class NMFParams(ALSParams):
    """Parameters of non-negative factorisation."""

    factors: int = param(
        16,
        help="Tastes to tell apart; fewer are broader and easier to read, more are finer.",
        ge=1,
        le=256,
        tune=TuningRange(8, 32, log=True),
    )
    factor_shrinkage: float = param(
        2.0,
        help="Draws the factors of people and items with few ratings towards 0, where the averages alone speak; as if "
        "that many ratings said nothing.",
        unit="ratings",
        gt=0,
        le=1000,
        tune=TuningRange(1.0, 8.0, log=True),
        advanced=True,
    )
    iterations: int = param(15, help="Sweeps over all people and all items.", ge=1, le=500)


NMF = AlgorithmSpec(
    id="nmf",
    name="NMF",
    family=Family.FACTORISATION,
    summary="Predicts ratings from tastes that only add up, each with a name, so that a prediction can be read.",
    implementation="recsys_factorization.nmf:NonNegativeFactorisation",
    params=NMFParams,
    capabilities=_RIDGE_CAPABILITIES,
    needs=Needs(ratings=True),
    paper="Lee, Seung 1999, doi:10.1038/44565; Kim, Park 2008, doi:10.1137/07069239X",
)


class TruncatedSVDParams(SingularVectorParams):
    """Parameters of truncated SVD of ratings."""

    rank: int = param(
        12,
        help="How many singular vectors are kept at most; training tells what share of the data each further one "
        "explains.",
        ge=1,
        le=1024,
        tune=TuningRange(4, 48, log=True),
    )
    noise_floor: float = param(
        1.0,
        help="Leaves out singular vectors weaker than this many times the strongest that chance alone would show if "
        "all people and all items had as many interactions as one another; 0 keeps as many as asked for.",
        ge=0,
        le=10,
        tune=TuningRange(0.7, 1.3),
        advanced=True,
    )


TRUNCATED_SVD = AlgorithmSpec(
    id="truncated-svd",
    name="Truncated SVD (ratings)",
    family=Family.FACTORISATION,
    summary="Predicts ratings by one decomposition, what is missing being taken for average; simple and quick.",
    implementation="recsys_factorization.singular_vectors:RatingSVD",
    params=TruncatedSVDParams,
    capabilities=_RIDGE_CAPABILITIES,
    needs=Needs(ratings=True),
    paper="Sarwar, Karypis, Konstan, Riedl 2000, doi:10.21236/ADA439541; Halko et al. 2011, arXiv:0909.4061",
)


class BPRParams(InteractionParams):
    """Parameters of Bayesian personalised ranking."""

    factors: int = param(
        64,
        help="Numbers that describe each person and item; more can tell finer tastes apart and take longer.",
        ge=1,
        le=1024,
        tune=TuningRange(16, 128, log=True),
    )
    epochs: int = param(25, help="Passes over the interactions; the step falls to nothing by the last.", ge=1, le=2000)
    learning_rate: float = param(
        0.1,
        help="Size of the first gradient steps; lower is slower and steadier.",
        gt=0,
        le=1,
        tune=TuningRange(0.03, 0.2, log=True),
    )
    regularisation: float = param(
        0.03,
        help="How strongly factors are held back at every step; raise it where histories are short or noisy.",
        ge=0,
        le=1,
        tune=TuningRange(0.01, 0.08, log=True),
    )
    candidates: int | None = param(
        None,
        help="Items drawn for each comparison, of which the one that scores highest is taken; more sharpen the top of "
        "the list, 1 is the original method. auto tries 1 and 8 on data set aside.",
        empty="auto",
        ge=1,
        le=100,
        tune=TuningRange(1, 16, log=True),
    )


BPR = AlgorithmSpec(
    id="bpr",
    name="BPR",
    family=Family.FACTORISATION,
    summary="Learns to put what people chose above what they did not; for lists, not for ratings.",
    implementation="recsys_factorization.bpr:BayesianPersonalisedRanking",
    params=BPRParams,
    capabilities=Capabilities(
        serves=Serves.HISTORY,
        explains=True,
        additive=True,
        updates_live=True,
        similar_items=True,
        item_embeddings=True,
        user_embeddings=True,
        randomised=True,
    ),
    paper="Rendle, Freudenthaler, Gantner, Schmidt-Thieme 2009, arXiv:1205.2618",
)


class BayesianFMParams(Params):
    """Parameters of the Bayesian factorisation machine; the defaults are good for most data."""

    factors: int = param(
        8,
        help="Numbers that describe each person and item; as they are averaged over draws, few are enough.",
        ge=1,
        le=64,
        tune=TuningRange(4, 16),
    )
    sweeps: int = param(
        200,
        help="How often everything is drawn anew; the first fifth is thrown away. More is steadier and slower.",
        ge=2,
        le=10_000,
    )
    implicit_sets: bool | None = param(
        None,
        help="Also learn from which items a person has rated, and from who has rated an item, whatever the ratings. "
        "auto does where there are more than 20,000 ratings; with fewer it tries both on ratings set aside.",
        empty="auto",
        tune=TuningRange(choices=(True, False)),
    )
    side_features: bool = param(
        True,
        help="Also learn from categories, tags, numbers and years of items, and from attributes of people.",
        tune=TuningRange(choices=(True, False)),
    )
    ordered_probit: bool = param(
        False,
        help="Take ratings for ordered levels whose distances are learnt, instead of for numbers; for scales whose "
        "steps people do not use evenly. Slower.",
        tune=TuningRange(choices=(True, False)),
    )
    kept_draws: int = param(
        40,
        help="Draws that are kept to fold people in; more is steadier, and takes memory and time when serving.",
        ge=1,
        le=500,
        advanced=True,
    )


BAYESIAN_FM = AlgorithmSpec(
    id="bayesian-fm",
    name="Bayesian factorisation machine",
    family=Family.FACTORISATION,
    summary="The most accurate rating predictions here, from ratings, features and who rated what; needs no tuning.",
    implementation="recsys_factorization.bayesian_fm:BayesianFM",
    params=BayesianFMParams,
    capabilities=replace(_RIDGE_CAPABILITIES, uses_features=True),
    needs=Needs(ratings=True),
    paper="Rendle 2012, doi:10.1145/2168752.2168771; Freudenthaler, Schmidt-Thieme, Rendle 2011",
)


@hookimpl
def recsys_desktop_algorithms() -> Sequence[AlgorithmSpec]:
    """The algorithms of this package."""
    return (IMPLICIT_ALS, BPR, PURE_SVD, SVD, SVDPP, ALS, NMF, TRUNCATED_SVD, BAYESIAN_FM)
