"""Checks of `fit`: what it leaves, determinism, stopping, epochs, degenerate data."""

from __future__ import annotations

import copy
import random
import threading
import time
from dataclasses import replace

import numpy as np

from recsys_desktop.api.algorithm import Serves
from recsys_desktop.api.dataset import Dataset
from recsys_desktop.api.errors import CannotFit, NotFitted
from recsys_desktop.api.query import Query
from recsys_desktop.api.recommender import Recommender
from recsys_desktop.api.testing import made_data, naive
from recsys_desktop.api.testing.workbench import Workbench, concerns, differ, hold, must_raise, tolerance

PROMPTLY = 20.0


class FitChecks(Workbench):
    """`fit` learns, leaves what it promises, repeats itself, stops when asked, and refuses only what is undefined."""

    def test_an_unfitted_model_says_so(self) -> None:
        must_raise(
            NotFitted,
            lambda: self.new_model().score(self.everyone()),
            "`score` of a model that was never fitted must raise NotFitted",
        )

    def test_fit_returns_itself_and_leaves_what_it_promises(self) -> None:
        model = self.new_model()
        hold(model.fit(self.train, self.run()) is model, "`fit` must return the model itself")
        hold(model.is_fitted, "after `fit` the model does not call itself fitted")
        hold(
            np.array_equal(model.known_users_, self.train.user_counts > 0)
            and np.array_equal(model.known_items_, self.train.item_counts > 0),
            "`known_users_` and `known_items_` must say who and what had an interaction in the training data",
        )
        hold(
            model.user_vocabulary == self.train.user_vocabulary and model.item_vocabulary == self.train.item_vocabulary,
            "after `fit` the model must have the vocabularies of the training data",
        )
        scale = self.train.rating_scale
        hold(scale is not None and model.rating_scale == scale, "after `fit` the model must know the rating scale")
        own = set(model.fitted_state()) - {"known_users_", "known_items_", "rating_scale_", "best_epoch_", "chosen_"}
        stateless = self.spec.capabilities.serves is Serves.EVERYONE
        hold(own or stateless, "`fit` left no attribute that ends in '_': nothing that was learnt would be saved")

    def test_fit_leaves_the_data_alone(self) -> None:
        data = copy.deepcopy(replace(self.train))
        before = data.fingerprint
        self.fit(data)
        after = replace(data).fingerprint
        hold(before == after, "`fit` changed the training data, which other models share")

    def test_fitting_again_forgets_the_first_data(self) -> None:
        model = self.fit(made_data.smallest(max(6, self.spec.needs.users), max(6, self.spec.needs.items)))
        model.fit(self.train, self.run())
        text = differ(self.fitted(self.train).score(self.everyone()), model.score(self.everyone()), 1e-6)
        hold(
            not text,
            f"a model fitted a second time differs from a fresh one ({text}): something of the first fit is left",
        )

    def test_same_seed_same_bits(self) -> None:
        state, numpy_state = random.getstate(), np.random.get_state()  # noqa: NPY002
        try:
            random.seed(123)
            np.random.seed(123)  # noqa: NPY002
            again = self.fit(self.train)
        finally:
            random.setstate(state)
            np.random.set_state(numpy_state)  # noqa: NPY002
        first, second = self.model.score(self.everyone()), again.score(self.everyone())
        hold(
            np.array_equal(first, second, equal_nan=True),
            f"two fits with one seed and one thread give different bits ({differ(first, second, 0.0) or 'in NaN'}): "
            "every random draw must come from `run.generator` or `run.seed`",
        )

    def test_another_seed_matters_exactly_where_declared(self) -> None:
        first = self.model.score(self.everyone())
        second = self.fit(self.train, seed=7).score(self.everyone())
        if self.spec.capabilities.randomised:
            hold(
                not np.array_equal(first, second, equal_nan=True),
                "`randomised` is declared, but another seed gives the same model: the run's seed is not used",
            )
        else:
            text = differ(first, second, 1e-6)
            hold(not text, f"another seed gives another model ({text}): declare `randomised`")

    def test_another_number_of_threads_gives_the_same_scores(self) -> None:
        first = self.model.score(self.everyone())
        text = differ(first, self.fit(self.train, threads=2).score(self.everyone()))
        hold(not text, f"two threads give other scores than one ({text}); up to 1e-4 is allowed")

    def test_progress_never_falls(self) -> None:
        run = self.run()
        self.new_model().fit(self.train, run)
        fractions = run.fractions
        hold(all(0 <= fraction <= 1 for fraction in fractions), "`run.progress` was told a fraction outside 0 to 1")
        hold(fractions == sorted(fractions), "`run.progress` was told falling fractions: the bar would jump back")
        bad = [values for _, values in run.logged if not all(np.isfinite(list(values.values())))]
        hold(not bad, f"`run.log` was given figures that are not finite: {bad[:1]}")

    def test_stops_at_once_when_asked(self) -> None:
        start = time.perf_counter()
        model = self.new_model()
        run = self.run(stop_after_checks=0)
        try:
            model.fit(self.train, run)
        except CannotFit:
            return
        taken = time.perf_counter() - start
        hold(taken < PROMPTLY, f"asked to stop from the start, `fit` took {taken:.0f} s")
        self._hold_usable(model, "after a stop from the start `fit` returned")

    @concerns(lambda test: test.capabilities().trains_in_epochs)
    def test_stops_between_epochs_and_keeps_the_model(self) -> None:
        run = self.run(epochs=60, stop_after_steps=2)
        model = self.new_model().fit(self.train, run)
        hold(run.stop_checks, "training in epochs never reads `run.should_stop`")
        hold(
            len(run.steps) <= 3,
            f"asked to stop after 2 epochs, training went on to {len(run.steps)}",
        )
        hold(
            model.best_epoch_ is not None and 1 <= model.best_epoch_ <= len(run.steps),
            f"after a stop, `best_epoch_` is {model.best_epoch_} of {len(run.steps)} epochs that were logged",
        )
        self._hold_usable(model, "stopped after two epochs, `fit` returned")

    @concerns(lambda test: test.capabilities().trains_in_epochs)
    def test_epochs_of_the_run_are_honoured(self) -> None:
        run = self.run(epochs=3, history=self.train, held_out=self.test)
        model = self.new_model().fit(self.train, run)
        hold(
            len(run.steps) == 3,
            f"`run.epochs` is 3, but figures of {len(run.steps)} steps were logged: train exactly so many epochs and "
            "call `run.log(epoch, loss=...)` in each",
        )
        hold(not run.validations, "`run.epochs` is set, so training must not validate or stop early")
        hold(model.best_epoch_ == 3, f"`best_epoch_` is {model.best_epoch_} after exactly 3 epochs")

    @concerns(lambda test: test.capabilities().trains_in_epochs)
    def test_validation_finds_the_best_epoch_and_keeps_it(self) -> None:
        run = self.run(history=self.train, held_out=self.test)
        model = self.new_model().fit(self.train, run)
        figures = [figure.value for figure in run.validations]
        hold(figures, "the run validates, but training never called `run.validate(model)`")
        hold(
            model.best_epoch_ is not None and 1 <= model.best_epoch_ <= len(run.steps),
            f"`best_epoch_` is {model.best_epoch_} of {len(run.steps)} epochs that were logged",
        )
        kept = run.validate(model)
        best = max(figures) if run.validations[0].larger_is_better else min(figures)
        hold(
            kept is not None and abs(kept.value - best) < 1e-4,
            f"the model that `fit` kept validates at {kept and kept.value:.4f}; its best epoch had {best:.4f}",
        )

    def test_fits_with_no_more_than_it_needs(self) -> None:
        needs = self.spec.needs
        spare = [
            column
            for column, needed in (
                ("ratings", needs.ratings),
                ("timestamps", needs.timestamps),
                ("item_features", needs.item_content),
                ("user_features", False),
            )
            if not needed
        ]
        data = made_data.without(self.train, *spare)
        self._hold_fits(data, f"without {', '.join(spare)}, which `needs` does not name,")

    def test_refuses_data_that_lacks_what_it_needs(self) -> None:
        needs = self.spec.needs
        for column, needed in (
            ("ratings", needs.ratings),
            ("timestamps", needs.timestamps),
            ("item_features", needs.item_content),
        ):
            if needed:
                error = must_raise(
                    CannotFit,
                    lambda missing=column: self.fit(made_data.without(self.train, missing)),  # type: ignore[misc]
                    f"`needs` names {column}, but `fit` accepted data without them",
                )
                hold(len(str(error)) > 20, f"the refusal does not say what is missing: '{error}'")

    def test_weighted_events_are_welcome(self) -> None:
        data = self.train if self.spec.needs.ratings else made_data.without(self.train, "ratings")
        data = replace(data, weights=np.linspace(0.5, 20, len(data), dtype=np.float32))
        self._hold_fits(data, "on weighted events")

    def test_degenerate_data_is_fitted_or_refused(self) -> None:
        for what, data in made_data.degenerate().items():
            try:
                model = self.fit(data)
            except CannotFit as refusal:
                hold(str(refusal).strip(), f"{what}: CannotFit was raised without a reason")
                hold(
                    not self._defined_on(data),
                    f"{what}: `fit` refused ('{refusal}'), but the data has what `needs` asks for; CannotFit is only "
                    "for data on which the model is undefined",
                )
                continue
            except Exception as error:
                raise AssertionError(
                    f"{what}: `fit` raised {error!r}; it must fit, or raise CannotFit with a reason"
                ) from error
            scores = model.score(self.everyone(data))
            hold(scores.shape == (data.n_users, data.n_items), f"{what}: scores have shape {scores.shape}")
            hold(not np.isinf(scores).any(), f"{what}: some scores are infinite")
            if self.spec.capabilities.predicts_ratings:
                predictions = model.predict(self.everyone(data))
                hold(not np.isinf(predictions).any(), f"{what}: some predictions are infinite")

    def test_fits_the_smallest_data_that_it_needs(self) -> None:
        needs = self.spec.needs
        data = made_data.smallest(max(2, needs.users), max(2, needs.items))
        self._hold_fits(data, f"on {data.n_users} users and {data.n_items} items")

    def test_leaves_no_thread_behind(self) -> None:
        before = set(threading.enumerate())
        self.fit(self.train).score(self.everyone())
        deadline = time.perf_counter() + 2
        while (left := [thread for thread in threading.enumerate() if thread not in before]) and (
            time.perf_counter() < deadline
        ):
            time.sleep(0.02)
        hold(not left, f"`fit` left threads running: {', '.join(thread.name for thread in left)}")

    @concerns(
        lambda test: test.is_personalised() and test.capabilities().ranks and not test.capabilities().predicts_ratings
    )
    def test_lists_are_better_than_chance(self) -> None:
        reached = naive.mean_ndcg(self.model, self.train, self.test)
        chance = self._ndcg_of_chance()
        hold(
            reached > 1.3 * chance,
            f"on two communities the lists reach NDCG@10 {reached:.3f}; shuffled lists reach {chance:.3f}",
        )

    @concerns(lambda test: test.capabilities().predicts_ratings)
    def test_predictions_are_no_worse_than_the_mean(self) -> None:
        parts = made_data.communities() if self.is_personalised() else made_data.generous_and_strict()
        assert parts.train.ratings is not None
        assert parts.test.ratings is not None
        reached = naive.rmse(self.fitted(parts.train), parts.train, parts.test)
        constant = float(np.sqrt(np.mean((parts.test.ratings - parts.train.ratings.mean()) ** 2)))
        allowed = constant * (0.95 if self.is_personalised() else 1.001)
        hold(
            reached <= allowed,
            f"on {parts.train.name} the predictions have RMSE {reached:.3f}; the mean rating alone has {constant:.3f}",
        )

    @concerns(
        lambda test: test.is_personalised() and (test.capabilities().ranks or test.capabilities().predicts_ratings)
    )
    def test_checkerboard_has_its_known_answer(self) -> None:
        rated = self.spec.needs.ratings
        data = made_data.checkerboard(rated)
        query = self.everyone(data)
        scores = self.fitted(data).score(query)
        first = [naive.top_n(scores[user], set(query.history(user).tolist()), 1) for user in range(data.n_users)]
        right = sum(listed == [user] for user, listed in enumerate(first))
        hold(
            right >= 0.6 * data.n_users,
            "on the checkerboard, where all have their colour's items but their own, the missing item is first for "
            f"only {right} of {data.n_users} users",
        )

    @concerns(lambda test: not test.is_personalised() and test.capabilities().serves is not Serves.EVERYONE)
    def test_orders_items_alike_for_all_as_the_test_class_says(self) -> None:
        scores = self.model.score(self.active())[:, self.model.scorable_items()].astype(np.float64)
        offsets = scores - scores.mean(axis=1, keepdims=True)
        hold(
            np.ptp(offsets, axis=0).max() <= 2 * tolerance(scores),
            "`personalised = False` says that all people get items in the same order, but they do not",
        )

    def _ndcg_of_chance(self) -> float:
        users = np.flatnonzero(self.test.user_counts > 0)
        history = Query.of_users(self.train, users)
        generator = np.random.default_rng(0)
        figures = []
        for _ in range(10):
            scores = generator.random((len(users), self.train.n_items))
            for person, user in enumerate(users):
                relevant = set(self.test.items[self.test.users == user].tolist())
                listed = naive.top_n(scores[person], set(history.history(person).tolist()), 10)
                figures.append(naive.ndcg(listed, relevant, 10))
        return float(np.mean(figures))

    def _defined_on(self, data: Dataset) -> bool:
        needs = self.spec.needs
        users, items = int((data.user_counts > 0).sum()), int((data.item_counts > 0).sum())
        return users >= max(2, needs.users) and items >= max(2, needs.items)

    def _hold_fits(self, data: Dataset, how: str) -> None:
        try:
            model = self.fit(data)
        except Exception as error:
            raise AssertionError(f"{how} `fit` raised {error!r}") from error
        self._hold_usable(model, f"fitted {how} the model", data)

    def _hold_usable(self, model: Recommender, what: str, data: Dataset | None = None) -> None:
        query = self.active(data)
        scores = model.score(query)
        hold(
            scores.shape == (len(query), model.n_items) and not np.isinf(scores).any(),
            f"{what} gives scores of shape {scores.shape} with {int(np.isinf(scores).sum())} infinite ones",
        )
        hold(not np.isnan(scores).all(), f"{what} has no score at all")
