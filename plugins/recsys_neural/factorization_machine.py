"""The factorisation machine and DeepFM over ids, side features and moments: ratings, clicks, rankings."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import torch

from recsys_desktop.api import (
    CannotFit,
    Contribution,
    Dataset,
    DataShape,
    Explanation,
    Feedback,
    Forecast,
    Query,
    Recommender,
    RunContext,
    Source,
    Validation,
)
from recsys_desktop.api.dataset import Bool, Float32, Int32, Int64
from recsys_desktop.toolkit.bias import fit_biases
from recsys_desktop.toolkit.features import FieldEncoder
from recsys_desktop.toolkit.torch_training import (
    BatchLoss,
    EpochBatches,
    TrainingSettings,
    adam,
    arrays_of,
    checkpoint_key,
    choose_device,
    fitting_batch_size,
    halves_by_rows,
    seeded,
    train,
)
from recsys_neural.factorization_machine_specs import DEEP_FM, FACTORIZATION_MACHINE
from recsys_neural.factorization_network import EntityBags, FactorizationNetwork
from recsys_neural.factorization_training import (
    ExampleLosses,
    Examples,
    PairBatch,
    drawn_clicks,
    judged_clicks,
    pairwise_ranking,
    sampled_softmax,
    squared_error,
)
from recsys_neural.interaction_sides import UNKNOWN_MOMENT, Side, entities_with_features, moment_codes, moments
from recsys_neural.linear_fold_in import fit_fold_in, history_vectors
from recsys_neural.tower import add_tower

Float64: TypeAlias = npt.NDArray[np.float64]

_ENTITIES_A_BLOCK = 8192
_CHARACTERS_A_WORD = 6
_PATH_STEPS = 256


class _Parts(NamedTuple):
    """What the n entities of one side come to: own (n,), vectors (n, factors), first (n, width of the first layer)."""

    own: Float32
    vectors: Float32
    first: Float32

    def take(self, entities: Any) -> _Parts:
        """Some of them."""
        return _Parts(self.own[entities], self.vectors[entities], self.first[entities])

    def joined(self, other: _Parts) -> _Parts:
        """Each with the one of `other` in the same place, as one."""
        between = np.einsum("nf,nf->n", self.vectors, other.vectors)
        return _Parts(self.own + other.own + between, self.vectors + other.vectors, self.first + other.first)


class _Features(NamedTuple):
    """The m features of one entity, for an explanation.

    labels: what each is called, "" for an id and what has no name. vectors: float64 (m, factors), x_j v_j. first:
    float64 (m, width), what they add to the first layer.
    """

    labels: list[str]
    vectors: Float64
    first: Float64

    def joined(self, other: _Features) -> _Features:
        """These and those of `other`."""
        return _Features(
            self.labels + other.labels,
            np.concatenate((self.vectors, other.vectors)),
            np.concatenate((self.first, other.first)),
        )

    def negative(self) -> _Features:
        """These taken away."""
        return _Features(self.labels, -self.vectors, -self.first)


class _Sides(NamedTuple):
    """What an explanation divides a score among.

    person: of the person, less those of the average one. moment: of the moment that was stated, if any. item: all.
    """

    person: _Features
    moment: _Features
    item: _Features


class _Levels(NamedTuple):
    """What all items have in common for one query: of_person, that person's own; of_all, what anybody gets."""

    of_person: float
    of_all: float


class FactorizationMachine(Recommender):
    """Factorisation machine of the second order (Rendle 2010, equation 1) over people, items, moments and features.

        s(x) = w_0 + Σ_j w_j x_j + Σ_{j<k} v_j·v_k x_j x_k

    The features x of a pair are the ids of person and item, the encoded columns of both (see `FieldEncoder`), and where
    there are timestamps the hour of the day and the day of the week, in UTC. With V_s the sum of x_j v_j over one side
    the sum over pairs falls into a number of each person, one of each item, and V_person·V_item: all items are scored
    for a person by one product.

    Three modes. rating: s is the rating, less its mean and in units of its spread; squared error; w begins at the
    regularised biases of people and items. click: σ(s) is the probability of a choice; cross-entropy, against ratings
    below `min_rating` where that is set, else against drawn items that the person has not met. ranking: s orders items;
    a softmax over the chosen and some drawn items, or BPR; w begins at popularity. Ratings are predicted in the mode
    rating only, in the others `predict` answers NaN.

    Every loss adds `regularisation` Σ_j ‖x_j v_j‖² over the features of each example, so a vector is held back as often
    as it is met; Adam over mini-batches. In half of the examples the moment is hidden, which means the average one.

    An item without interactions has the vectors of its features, and only an item without either scores NaN. A newcomer
    with a history is folded in approximately: what people come to in training is regressed on the mean of their items'
    vectors, each times 1 or, in the mode rating, times the rating less what the item alone lets expect. A person
    without interactions scores NaN.

    Fitted: `mode_`; `mean_`, `spread_`, in rating units; `weights_`, float32 arrays by name, of the network (see
    `FactorizationNetwork`); `sides_`, people, moments where they count, and items as in `Side.to_state`; `parts_`, what
    the entities of each side come to; `fold_in_` float32 (1 + factors, 1 + factors + width of the first layer).
    """

    spec = FACTORIZATION_MACHINE

    mode_: str
    mean_: float
    spread_: float
    weights_: dict[str, Float32]
    sides_: list[dict[str, Any]]
    parts_: list[dict[str, Float32]]
    fold_in_: Float32

    def _layers(self) -> tuple[int, ...]:
        """Widths of the layers over the vectors; none here."""
        return ()

    def _layer_dropout(self) -> float:
        return 0.0

    def estimate(self, shape: DataShape) -> Forecast:
        """Weights, gradients, two moments of Adam and the best weights kept; the encoded features; the interactions;
        what one batch of pairs is computed to."""
        params = self.params
        layers = self._layers()
        first = layers[0] if layers else 0
        entities = shape.n_users + shape.n_items
        width = 2 + params.factors + first
        pairs = fitting_batch_size(params.batch_size, shape.n_interactions)
        texts = 80 * shape.text_characters / _CHARACTERS_A_WORD if params.text_topics else 0
        features = 48 * (shape.item_values + shape.user_values) + 24 * params.text_topics * shape.n_items + texts
        learnt = 28 * entities * (1 + params.factors) + 6 * entities * width
        batch = pairs * (40 * (2 + params.factors) + 26 * first + 24 * sum(layers))
        memory = learnt + batch + 44 * shape.n_interactions + (features if params.side_features else 0)
        draws = params.mode in ("click", "ranking")
        pairs_an_epoch = shape.n_interactions * (1 + params.negatives if draws else 1)
        work_a_pair = width + 40 + sum(before * after for before, after in pairwise(layers)) / 30
        return Forecast(
            int(memory) + 3_000_000,
            0.5 + params.epochs * pairs_an_epoch * work_a_pair * 1e-8,
            cheaper="ials" if draws else "svd",
            note="for the most epochs it may train; where 'auto' finds no ratings, each drawn item takes as long again",
        )

    def _fit(self, train_data: Dataset, run: RunContext) -> None:
        params = self.params
        self.mode_ = self._chosen_mode(train_data)
        self.mean_, self.spread_ = 0.0, 1.0
        sides = self._encoded_sides(train_data, run)
        examples, losses = self._examples(train_data)
        network = FactorizationNetwork(
            sides, params.factors, self._layers(), params.dropout, self._layer_dropout(), seeded(run, "weights")
        )
        self._set_first_weights(network, examples, train_data, run)
        device = choose_device(run.device)
        network.to(device)
        batch_size = fitting_batch_size(params.batch_size // examples.pairs_each, len(examples))

        def epoch_batches(generator: np.random.Generator) -> EpochBatches[PairBatch]:
            return examples.batches(batch_size, device, generator)

        def loss(batch: PairBatch) -> BatchLoss:
            codes = (batch.people, batch.items) if batch.moments is None else (batch.people, batch.moments, batch.items)
            bags = [EntityBags.of(side, code.numpy(), device) for side, code in zip(sides, codes, strict=True)]
            scores, squares = network(bags)
            error = losses(batch, scores).mean()
            return BatchLoss(error + params.regularisation * squares, len(scores), {"error": error})

        def validate() -> Validation | None:
            self._take_from(network, sides, device)
            return run.validate(self)

        settings = TrainingSettings(
            epochs=params.epochs,
            patience=params.patience,
            learning_rate=params.learning_rate,
            validate_every=params.validate_every,
            decays=True,
            gradient_norm=params.gradient_norm,
            threads=1,
        )
        self.sides_ = [side.to_state() for side in sides]
        # Validation asks people met in training only; newcomers are folded in by the final weights.
        self.fold_in_ = np.zeros((1 + params.factors, 1 + params.factors + sum(self._layers()[:1])), dtype=np.float32)
        optimizer = adam(network, params.learning_rate)
        result = train(
            network,
            optimizer,
            epoch_batches,
            loss,
            settings,
            run,
            validate,
            halves=halves_by_rows,
            key=checkpoint_key(self, train_data, run),
        )
        self._take_from(network, sides, device)
        self.weights_ = {name: array.copy() for name, array in self.weights_.items()}
        self.best_epoch_ = result.best_epoch or None
        histories = self._histories(train_data.users, train_data.items, train_data.ratings, train_data.n_users)
        self.fold_in_ = fit_fold_in(histories, np.column_stack(_Parts(**self.parts_[0])))

    def _chosen_mode(self, train_data: Dataset) -> str:
        mode: str = self.params.mode
        if mode == "auto":
            return "rating" if train_data.feedback is Feedback.EXPLICIT else "ranking"
        if mode == "rating" and train_data.ratings is None:
            raise CannotFit(f"'{self.spec.id}' cannot predict ratings, as the data has none: choose another 'mode'")
        return mode

    def _encoded_sides(self, train_data: Dataset, run: RunContext) -> list[Side]:
        params = self.params
        sides = []
        for what, known, table in (
            ("person", self.known_users_, train_data.user_features),
            ("item", self.known_items_, train_data.item_features),
        ):
            encoder = FieldEncoder(())
            if params.side_features:
                encoder = FieldEncoder.fit(table, params.text_topics, run.generator(f"topics of the {what}"))
            sides.append(entities_with_features(known, table, encoder, what))
        if params.moments and train_data.timestamps is not None:
            sides.insert(1, moments(train_data.timestamps))
        return sides

    def _examples(self, train_data: Dataset) -> tuple[Examples, ExampleLosses]:
        """What to learn from, and how an answer is judged."""
        params, ratings = self.params, train_data.ratings
        chosen, targets, exponent = train_data, None, 1.0
        losses: ExampleLosses
        if self.mode_ == "rating":
            assert ratings is not None
            self.mean_ = float(ratings.mean(dtype=np.float64))
            self.spread_ = float(ratings.std(dtype=np.float64)) or 1.0
            targets, losses = (ratings - np.float32(self.mean_)) / np.float32(self.spread_), squared_error
        elif self.mode_ == "click" and ratings is not None and params.min_rating is not None:
            targets, losses = (ratings >= params.min_rating).astype(np.float32), judged_clicks
        else:
            if ratings is not None and params.min_rating is not None:
                chosen = train_data.subset(ratings >= params.min_rating)
            losses = drawn_clicks if self.mode_ == "click" else sampled_softmax
            if self.mode_ == "ranking" and params.ranking_loss == "bpr":
                exponent, losses = 0.0, pairwise_ranking
        examples = Examples(
            chosen,
            targets,
            met=train_data,
            negatives=params.negatives,
            exponent=exponent,
            tells_moments=params.moments,
        )
        return examples, losses

    def _set_first_weights(
        self, network: FactorizationNetwork, examples: Examples, train_data: Dataset, run: RunContext
    ) -> None:
        """Begin where a model without vectors ends: at biases of ratings, at popularity, or at the share of likes."""
        of_users, of_items = network.tables[0], network.tables[-1]
        with torch.no_grad():
            if self.mode_ == "rating":
                biases = fit_biases(train_data, None, None, run)
                of_users[: train_data.n_users, 0] = torch.from_numpy(biases.users / self.spread_)
                of_items[: train_data.n_items, 0] = torch.from_numpy(biases.items / self.spread_)
            elif examples.targets is not None:
                likes = float(examples.targets.sum())
                network.constant.fill_(float(np.log((likes + 1) / (len(examples) - likes + 1))))
            else:
                # An item that nobody chose has no weight of its own, so it begins as if half a person had.
                rarest = 0.5
                popularity = np.log(np.maximum(examples.chosen.item_counts, rarest) / rarest)
                of_items[: train_data.n_items, 0] = torch.from_numpy(popularity.astype(np.float32))
                if self.mode_ == "click":
                    even = len(examples) * self.params.negatives / int(self.known_items_.sum())
                    network.constant.fill_(float(np.log(rarest / even)))

    def _take_from(self, network: FactorizationNetwork, sides: list[Side], device: torch.device) -> None:
        """Take the network's present weights and what all entities come to by them."""
        self.weights_ = arrays_of(network)
        self.parts_ = []
        with torch.no_grad():
            for which, side in enumerate(sides):
                blocks = [
                    network.represent(
                        which,
                        EntityBags.of(
                            side, np.arange(begin, min(begin + _ENTITIES_A_BLOCK, side.n_entities)), device
                        ).bags,
                    )
                    for begin in range(0, side.n_entities, _ENTITIES_A_BLOCK)
                ]
                self.parts_.append(
                    {
                        name: torch.cat([getattr(block, name) for block in blocks]).cpu().numpy()
                        for name in _Parts._fields
                    }
                )

    def scorable_items(self) -> Bool:
        """bool (n_items,): those with interactions or with any feature that was met in `fit`."""
        return Side.of_state(self.sides_[-1]).has_features()

    def _people(self, query: Query) -> _Parts:
        """What each person with their features comes to, at the moment of asking where that counts."""
        known = self._known_people(query)
        people = _Parts(**self.parts_[0]).take(np.where(known, query.users, 0))
        strangers = np.flatnonzero(~known)
        if len(strangers):
            for part, folded in zip(people, self._folded_in(query.take(strangers)), strict=True):
                part[strangers] = folded
        if len(self.parts_) == 3:
            people = people.joined(_Parts(**self.parts_[1]).take(self._moments(query)))
        return people

    def _folded_in(self, query: Query) -> _Parts:
        """What people come to by their histories alone."""
        histories = self._histories(query.owner, query.items, query.ratings, len(query))
        together = histories @ self.fold_in_
        factors = histories.shape[1]
        return _Parts(together[:, 0], together[:, 1:factors], together[:, factors:])

    def _histories(self, owners: npt.NDArray[Any], items: Int32, ratings: Float32 | None, people: int) -> Float32:
        """The histories of people as `history_vectors`; items not met in `fit` are left out."""
        met = self.known_items_[items]
        owners, items = owners[met], items[met]
        values = np.ones(len(items), dtype=np.float32)
        if self.mode_ == "rating":
            # Of what has no rating, it is taken to be as expected.
            values[:] = 0
            if ratings is not None:
                expected = self.parts_[-1]["own"][items] + self.weights_["constant"]
                values = (ratings[met] - np.float32(self.mean_)) / np.float32(self.spread_) - expected
        return history_vectors(owners, items, values, self.parts_[-1]["vectors"], people)

    def _moments(self, query: Query) -> Int64:
        return np.full(len(query), UNKNOWN_MOMENT) if query.as_of is None else moment_codes(query.as_of)

    def _score(self, query: Query, items: Int32 | None) -> npt.NDArray[Any]:
        people = self._people(query)
        things = _Parts(**self.parts_[-1])
        if items is not None:
            things = things.take(items)
        scores: Float32 = people.vectors @ things.vectors.T
        scores += (people.own + self.weights_["constant"])[:, None]
        scores += things.own
        self._add_tower(scores, people.first, things.first)
        scores *= np.float32(self.spread_)
        scores += np.float32(self.mean_)
        return scores

    def _add_tower(self, scores: Float32, from_people: Float32, from_items: Float32) -> None:
        """Add what layers make of each pair to scores (n, m)."""

    def _predict(self, query: Query, items: Int32 | None) -> npt.NDArray[Any]:
        if self.mode_ != "rating":
            return np.full((len(query), self.n_items if items is None else len(items)), np.nan, dtype=np.float32)
        return self._score(query, items)

    def _explain(self, query: Query, items: Int32, scores: Float32) -> list[Explanation]:
        average = self._average_person()
        if self._known_people(query)[0]:
            person = self._features(0, int(query.users[0]))
        else:
            folded = self._folded_in(query)
            person = _Features([""], folded.vectors.astype(np.float64), folded.first.astype(np.float64))
        moment = _Features([], average.vectors[:0], average.first[:0])
        everybody, start, of_moment = average.vectors[0], average.first[0], 0.0
        if len(self.parts_) == 3:
            when, moments_known = int(self._moments(query)[0]), _Parts(**self.parts_[1])
            of_moment, start = float(moments_known.own[when]), start + moments_known.first[when]
            if when == UNKNOWN_MOMENT:
                everybody = everybody + moments_known.vectors[when]
            else:
                moment = self._features(1, when)
        things = _Parts(**self.parts_[-1])
        general = things.own + things.vectors @ everybody + self._layers_of_items(start)
        level = float(general[self.known_items_].mean())
        levels = _Levels(float(self._people(query).own[0]) - of_moment, of_moment + level)
        departing = person.joined(average.negative())
        return [
            self._explanation(
                int(item),
                float(score),
                levels,
                float(general[item]) - level,
                _Sides(departing, moment, self._features(-1, int(item))),
                start,
            )
            for item, score in zip(items, scores, strict=True)
        ]

    def _average_person(self) -> _Features:
        """What the people met in `fit` come to on average, as one feature without a name."""
        known = _Parts(**self.parts_[0]).take(self.known_users_)
        return _Features(
            [""],
            known.vectors.mean(0, keepdims=True, dtype=np.float64),
            known.first.mean(0, keepdims=True, dtype=np.float64),
        )

    def _features(self, side: int, entity: int) -> _Features:
        """The features of one entity."""
        encoded = Side.of_state(self.sides_[side])
        bags = encoded.take(np.array([entity]))
        fields = np.repeat(np.arange(len(encoded.fields)), np.diff(bags.indptr))
        table = self.weights_[f"tables.{side % len(self.sides_)}"]
        vectors = (bags.data[:, None] * table[bags.indices, 1:]).astype(np.float64)
        labels = [encoded.name(feature) for feature in bags.indices.tolist()]
        return _Features(labels, vectors, self._into_layers(side, fields, vectors))

    def _into_layers(self, side: int, fields: Int64, vectors: Float64) -> Float64:
        """What vectors (m, factors) of these fields add to the first layer: float64 (m, its width)."""
        return vectors[:, :0]

    def _explanation(
        self, item: int, score: float, levels: _Levels, of_item: float, sides: _Sides, start: Float64
    ) -> Explanation:
        """Every pair of a feature of the person with one of the item, and what layers make of the person's.

        of_item: what the item gets with the average person, above what items get on average. start: as in
        `_add_layers`.
        """
        found: dict[tuple[Source, str], float] = {}

        def add(kind: Source, label: str, value: float) -> None:
            found[kind, label] = found.get((kind, label), 0.0) + self.spread_ * value

        base = float(self.weights_["constant"]) + levels.of_all
        if self.mode_ == "rating":
            add(Source.BIAS, "how this person rates", levels.of_person)
            add(Source.BIAS, "how this item is rated", of_item)
        else:
            base += levels.of_person
            add(Source.BIAS, "how often it is chosen", of_item)
        person, moment, thing = sides
        for label, value in zip(moment.labels, (moment.vectors @ thing.vectors.sum(0)).tolist(), strict=True):
            add(Source.BIAS, label, value)
        for row, products in zip(person.labels, person.vectors @ thing.vectors.T, strict=True):
            for column, value in zip(thing.labels, products.tolist(), strict=True):
                if row and column:
                    add(Source.FEATURE, f"{row} with {column}", value)
                elif row or column:
                    add(Source.FEATURE, column or f"{row} with this item", value)
                else:
                    add(Source.MODEL, "this person with this item", value)
        self._add_layers(person, start + thing.first.sum(0), add)
        return Explanation.of(
            item,
            score,
            [Contribution(kind, value, label=label) for (kind, label), value in found.items()],
            base=self.mean_ + self.spread_ * base,
            additive=self.spec.capabilities.additive,
            faithful_to_removal=False,
            method=self._method,
        )

    _method = (
        "exactly: what the average person gets, and the products of the item's features with those of the person, less "
        "the average person's"
    )

    def _layers_of_items(self, start: Float64) -> Float32:
        """What layers make of each item with what adds `start` (width,) to the first: float32 (n_items,)."""
        return np.zeros(self.n_items, dtype=np.float32)

    def _add_layers(self, person: _Features, start: Float64, add: Callable[[Source, str, float], None]) -> None:
        """Add what each feature changes in the layers' answer. start: (width,), the first layer without them."""

    def item_embeddings(self) -> Float32:
        """float32 (n_items, factors), the sum of the vectors of an item's features; NaN where it has none."""
        self._require_fitted()
        return np.where(self.scorable_items()[:, None], self.parts_[-1]["vectors"], np.float32(np.nan))

    def user_embeddings(self) -> Float32:
        """float32 (n_users, factors), the sum of the vectors of a person's features; NaN for those not met in `fit`."""
        self._require_fitted()
        return np.where(self.known_users_[:, None], self.parts_[0]["vectors"], np.float32(np.nan))


class DeepFm(FactorizationMachine):
    """DeepFM (Guo et al. 2017, equations 1 to 4): a factorisation machine and layers over the same vectors.

        s(x) = fm(x) + tower([V_1; V_2; ...]),   a_1 = relu(W_1 [V_1; V_2; ...] + c_1),   a_l = relu(W_l a_{l-1} + c_l)

    with V_f the sum of x_j v_j over the features of field f, of person, moment and item. fm, its modes and how it is
    trained are those of `FactorizationMachine`; so is the fitted state.
    """

    spec = DEEP_FM

    _method = (
        "what the average person gets, the products of the item's features with those of the person, less the average "
        "person's, exactly, and the layers from the average person to this one by integrated gradients"
    )

    def _layers(self) -> tuple[int, ...]:
        widths: tuple[int, ...] = self.params.layers
        return widths

    def _layer_dropout(self) -> float:
        share: float = self.params.layer_dropout
        return share

    def _tower_weights(self) -> list[tuple[Float32, Float32]]:
        """Offset (width,) and following kernel (next width, width) of each layer."""
        weights = self.weights_
        return [(weights[f"offsets.{level}"], weights[f"kernels.{level}"]) for level in range(len(self._layers()))]

    def _add_tower(self, scores: Float32, from_people: Float32, from_items: Float32) -> None:
        add_tower(scores, from_people, from_items, self._tower_weights())

    def _into_layers(self, side: int, fields: Int64, vectors: Float64) -> Float64:
        first = self.weights_[f"first.{side % len(self.sides_)}"]
        kernels = first.reshape(-1, vectors.shape[1], first.shape[1]).astype(np.float64)
        into: Float64 = np.einsum("mf,mfh->mh", vectors, kernels[fields])
        return into

    def _layers_of_items(self, start: Float64) -> Float32:
        answers: Float32 = np.zeros((1, self.n_items), dtype=np.float32)
        self._add_tower(answers, start[None].astype(np.float32), self.parts_[-1]["first"])
        return answers.ravel()

    def _add_layers(self, person: _Features, start: Float64, add: Callable[[Source, str, float], None]) -> None:
        """By integrated gradients (Sundararajan et al. 2017, equation 3): a straight path in `_PATH_STEPS` midpoints.

        The path from the average person to this one is one of sums of the first layer, in which each feature has its
        share.
        """
        shares = (np.arange(_PATH_STEPS) + 0.5) / _PATH_STEPS
        path = start + shares[:, None] * person.first.sum(0)
        slope = _tower_gradients(path, self._tower_weights()).mean(0)
        for label, value in zip(person.labels, (person.first @ slope).tolist(), strict=True):
            if label:
                add(Source.FEATURE, f"{label} with this item", value)
            else:
                add(Source.MODEL, "this person with this item, in the layers", value)


def _tower_gradients(sums: Float64, layers: list[tuple[Float32, Float32]]) -> Float64:
    """The gradient of the tower's output by the sums of its first layer (n, width): float64 (n, width)."""
    masks = []
    for offset, kernel in layers:
        sums = sums + offset
        masks.append(sums > 0)
        sums = np.maximum(sums, 0) @ kernel.T
    gradients = np.ones((len(sums), 1))
    for mask, (_, kernel) in zip(reversed(masks), reversed(layers), strict=True):
        gradients = gradients @ kernel * mask
    return gradients
