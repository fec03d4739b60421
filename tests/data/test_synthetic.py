"""Made data: exact sizes, the promised biases, and the course sample that travels with the application."""

from __future__ import annotations

import csv
from collections import Counter

import numpy as np
import pytest

from recsys_desktop.api import Feedback, InvalidParameter, RunContext
from recsys_desktop.data import ReadingStopped, build_dataset, describe
from recsys_desktop.data.courses import LEVELS, TOPICS, make_course_sample, make_courses, write_course_sample
from recsys_desktop.data.request import BuildRequest
from recsys_desktop.data.synthetic import (
    PlantedOrderParams,
    SyntheticParams,
    interaction_blocks,
    make_dataset,
    make_interactions,
    make_planted_order,
    make_world,
    write_ratings_csv,
)
from recsys_desktop.resources_path import bundled_folder


def params(**values) -> SyntheticParams:
    return SyntheticParams.parse(values)


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"users": 30, "items": 20, "interactions": 300},
        {"users": 1, "items": 2, "interactions": 1},
        {"users": 50, "items": 400, "interactions": 3000, "categories": 1, "drift": 0, "popularity_exponent": 3},
        {"users": 40, "items": 30, "interactions": 500, "categories": 200},
    ],
)
def test_sizes_are_exact_and_pairs_distinct(values) -> None:
    chosen = params(**values)
    made = make_interactions(chosen, 3)
    assert len(made.users) == chosen.interactions
    assert len(set(zip(made.users.tolist(), made.items.tolist(), strict=True))) == chosen.interactions
    assert set(made.users.tolist()) == set(range(chosen.users))
    assert 0 <= made.items.min() <= made.items.max() < chosen.items
    assert set((made.ratings * 2).tolist()) <= set(range(1, 11))
    last = chosen.first_time + chosen.days * 86400
    assert chosen.first_time <= made.timestamps.min() <= made.timestamps.max() <= last
    order = np.lexsort((made.timestamps, made.users))
    assert np.array_equal(order, np.arange(len(order)))


def test_a_seed_decides() -> None:
    first, second, third = (make_dataset(params(), seed).fingerprint for seed in (1, 1, 2))
    assert first == second != third


def test_blocks_are_the_whole(monkeypatch) -> None:
    monkeypatch.setattr("recsys_desktop.data.synthetic._BLOCK_ROWS", 1000)
    blocks = list(interaction_blocks(params(interactions=5000), 0))
    assert len(blocks) == 5
    assert sum(len(block.users) for block in blocks) == 5000
    pairs = {pair for block in blocks for pair in zip(block.users.tolist(), block.items.tolist(), strict=True)}
    assert len(pairs) == 5000


def test_popularity_bias_concentrates_choices() -> None:
    shares = [
        describe(make_dataset(params(items=3000, popularity_exponent=exponent, taste_strength=0.3), 0)).top_tenth_share
        for exponent in (0, 0.8, 1.6)
    ]
    assert shares[0] + 0.1 < shares[1] < shares[2] - 0.1


def test_people_follow_their_tastes_and_rate_accordingly() -> None:
    chosen = params(drift=0, taste_strength=1, popularity_exponent=0.5)
    world, made = make_world(chosen, 5), make_interactions(chosen, 5)
    favourite = world.tastes.argmax(axis=1)
    hits = (world.categories[made.items] == favourite[made.users]).mean()
    assert hits > 0.4
    crowd = make_interactions(params(drift=0, taste_strength=0, popularity_exponent=0.5), 5)
    assert hits > 2 * (world.categories[crowd.items] == favourite[crowd.users]).mean()
    assert np.corrcoef(made.affinity, made.ratings)[0, 1] > 0.2


def test_tastes_drift_and_nothing_is_chosen_before_it_is_released() -> None:
    chosen = params(drift=1, taste_strength=1, interactions=40_000)
    world, made = make_world(chosen, 1), make_interactions(chosen, 1)
    early = (world.released[made.items] > made.timestamps).mean()
    assert early < 0.02
    phase = (made.timestamps - chosen.first_time) / (chosen.days * 86400)
    later = world.later_tastes[made.users, world.categories[made.items]]
    before = world.tastes[made.users, world.categories[made.items]]
    leaning = later > before
    assert leaning[phase > 0.8].mean() > leaning[phase < 0.2].mean() + 0.15


def test_impossible_sizes_are_refused() -> None:
    with pytest.raises(InvalidParameter, match="half of all pairs"):
        make_interactions(params(users=10, items=10, interactions=60), 0)
    with pytest.raises(InvalidParameter, match="one a person"):
        make_interactions(params(users=10, items=10, interactions=5), 0)


def test_making_stops_when_asked() -> None:
    class Stopped(RunContext):
        should_stop = True

    with pytest.raises(ReadingStopped):
        make_interactions(params(), 0, Stopped())


def test_a_written_file_reads_back(tmp_path) -> None:
    chosen = params(users=200, items=80, interactions=3000)
    write_ratings_csv(tmp_path / "r.csv", chosen, 4)
    dataset, report = build_dataset(BuildRequest.of([tmp_path / "r.csv"]))
    made = make_interactions(chosen, 4)
    assert report.problems == ()
    assert dataset.user_vocabulary.ids[dataset.users].tolist() == [str(user + 1) for user in made.users]
    assert dataset.item_vocabulary.ids[dataset.items].tolist() == [str(item + 1) for item in made.items]
    assert np.array_equal(dataset.ratings, made.ratings)  # type: ignore[arg-type]
    assert np.array_equal(dataset.timestamps, made.timestamps)  # type: ignore[arg-type]


class TestPlantedOrder:
    def test_a_third_item_follows_from_the_two_before_it(self) -> None:
        data = make_planted_order(PlantedOrderParams(users=2000, clusters=4, visits=3), 1)
        visits = data.histories.items.reshape(-1, 3)
        following: dict[tuple[int, int], set[int]] = {}
        for first, second, third in visits.tolist():
            following.setdefault((first, second), set()).add(third)
        assert len(following) == 4 * 5 * 4
        assert all(len(items) == 1 for items in following.values())
        assert len({(second, next(iter(items))) for (_, second), items in following.items()}) == len(following)

    def test_popularity_and_co_occurrence_say_nothing_within_a_cluster(self) -> None:
        data = make_planted_order(PlantedOrderParams(users=8000, clusters=2, visits=1), 2)
        together = (data.matrix().T @ data.matrix()).toarray()
        of_first = together[0] > 0
        pairs = together[np.ix_(of_first, of_first)]
        counts, pairs = np.diag(pairs), pairs[~np.eye(5, dtype=bool)]
        assert of_first.sum() == 5
        assert np.ptp(counts) < 0.1 * counts.mean()
        assert np.ptp(pairs) < 0.15 * pairs.mean()

    def test_nobody_meets_an_item_twice_and_a_seed_decides(self) -> None:
        first, second, third = (make_planted_order(PlantedOrderParams(), seed) for seed in (1, 1, 2))
        assert first.matrix().nnz == len(first) == 1000 * 8 * 3
        assert first.fingerprint == second.fingerprint != third.fingerprint

    @pytest.mark.parametrize(
        ("values", "name"), [({"cluster_size": 9}, "cluster_size"), ({"visit_length": 6}, "visit_length")]
    )
    def test_what_cannot_be_planted_is_refused(self, values: dict[str, int], name: str) -> None:
        with pytest.raises(InvalidParameter, match=name):
            make_planted_order(PlantedOrderParams(**values))
        with pytest.raises(InvalidParameter, match="visits"):
            make_planted_order(PlantedOrderParams(visits=21))


class TestCourses:
    def test_catalogue(self) -> None:
        courses = make_courses(324)
        assert len({course.title for course in courses}) == len({course.id for course in courses}) == 324
        assert Counter(course.level for course in courses) == dict.fromkeys(LEVELS, 108)
        assert all("{" not in course.title + course.description for course in courses)
        assert all(len(course.skills) == 3 and course.description.count(". ") >= 2 for course in courses)
        with pytest.raises(ValueError, match="1 to 324"):
            make_courses(325)

    def test_word_banks_fit_their_templates(self) -> None:
        for topics in TOPICS.values():
            assert len(topics) == 9
            for topic in topics:
                assert len(topic.skills) == len(set(topic.skills)) == 3
                assert topic.product
                assert topic.product[0].islower()

    def test_stated_interests_are_true(self) -> None:
        sample = make_course_sample(200, 100, 2000, seed=3)
        category = {course.id: course.category for course in sample.courses}
        interests = {learner[0]: learner[1].split("|") for learner in sample.learners}
        match = [category[course] in interests[learner] for learner, course, _, _ in sample.enrolments]
        shifted = dict(zip(interests, [*list(interests.values())[1:], []], strict=True))
        by_chance = [category[course] in shifted[learner] for learner, course, _, _ in sample.enrolments]
        assert np.mean(match) > 1.7 * np.mean(by_chance)
        assert [row[3] for row in sample.enrolments] == sorted(row[3] for row in sample.enrolments)

    def test_a_written_sample_is_a_dataset(self, tmp_path) -> None:
        write_course_sample(tmp_path, make_course_sample(60, 50, 500, seed=1))
        request = BuildRequest.of(
            [tmp_path / "enrolments.csv"], items=tmp_path / "courses.csv", users=tmp_path / "learners.csv"
        )
        dataset, report = build_dataset(request)
        assert report.problems == ()
        assert (dataset.n_users, dataset.n_items, len(dataset)) == (50, 60, 500)

    def test_the_sample_that_travels_along(self) -> None:
        folder = bundled_folder("sample_data") / "courses"
        assert "CC0" in (folder / "README.md").read_text(encoding="utf-8")
        request = BuildRequest.of(
            [folder / "enrolments.csv"], items=folder / "courses.csv", users=folder / "learners.csv"
        )
        dataset, report = build_dataset(request)
        assert report.problems == ()
        assert (dataset.n_users, dataset.n_items, len(dataset)) == (800, 300, 8000)
        assert dataset.feedback is Feedback.IMPLICIT
        assert dataset.event_names == ("view", "enrol", "complete")
        roles = {name: column.role.value for name, column in dataset.item_features.columns.items()}
        assert roles == {
            "title": "title",
            "description": "text",
            "category": "category",
            "skills": "tags",
            "level": "category",
            "duration_hours": "numeric",
            "provider": "category",
        }
        with (folder / "courses.csv").open(encoding="utf-8", newline="") as file:
            assert len({row["description"] for row in csv.DictReader(file)}) == 300


def test_movielens_small_reads_without_a_problem() -> None:
    folder = bundled_folder("sample_data") / "movielens_small"
    dataset, report = build_dataset(
        BuildRequest.of([folder / "ratings.csv"], items=[folder / "movies.csv", folder / "tags.csv"])
    )
    assert report.problems == ()
    assert (dataset.n_users, dataset.n_items, len(dataset)) == (671, 9125, 100004)
    assert dataset.feedback is Feedback.EXPLICIT
    toy_story = dataset.item_vocabulary.code("1")
    assert dataset.item_features.describe(toy_story)["genres"] == [
        "Adventure",
        "Animation",
        "Children",
        "Comedy",
        "Fantasy",
    ]
