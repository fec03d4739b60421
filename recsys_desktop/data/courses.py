"""A made course catalogue with learners and enrolments: texts from word banks, choices from latent tastes."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt

from recsys_desktop.data.synthetic import MadeInteractions, SyntheticParams, make_interactions, make_world

LEVELS = ("beginner", "intermediate", "advanced")

_FIRST_TIME = int(datetime(2023, 1, 9, tzinfo=UTC).timestamp())


@dataclass(frozen=True)
class Topic:
    """Something that can be taught. skills: what one learns; product: what one makes with it."""

    name: str
    skills: tuple[str, ...]
    product: str


def _topic(name: str, skills: str, product: str) -> Topic:
    return Topic(name, tuple(skills.split(", ")), product)


TOPICS: dict[str, tuple[Topic, ...]] = {
    "Data Science": (
        _topic("Statistics", "probability, hypothesis tests, sampling", "a survey report with honest error bars"),
        _topic(
            "Machine Learning", "regression, classification, model validation", "a model that predicts late parcels"
        ),
        _topic("Data Visualisation", "charts, dashboards, storytelling", "a dashboard of a city's bicycle traffic"),
        _topic(
            "Data Cleaning", "missing values, deduplication, spreadsheets", "a tidy table out of three messy exports"
        ),
        _topic("Time Series", "forecasting, seasonality, anomaly detection", "a forecast of electricity demand"),
        _topic("Recommender Systems", "matrix factorisation, ranking, evaluation", "a list of films for a friend"),
        _topic("Text Mining", "tokenisation, topic models, sentiment", "a map of ten thousand product reviews"),
        _topic(
            "Experiment Design", "A/B tests, power analysis, causality", "a plan for a fair comparison of two pages"
        ),
        _topic("Bayesian Methods", "probability, priors, sampling", "an estimate that says how sure it is"),
    ),
    "Programming": (
        _topic("Python", "functions, packages, testing", "a small tool that renames a folder of photographs"),
        _topic("Web Development", "HTML, CSS, accessibility", "a site for a neighbourhood library"),
        _topic("Databases", "SQL, data modelling, transactions", "a booking system that never sells a seat twice"),
        _topic(
            "Software Testing",
            "unit tests, test design, continuous integration",
            "a test suite that finds a real fault",
        ),
        _topic("Algorithms", "data structures, complexity, recursion", "a route planner for a tram network"),
        _topic(
            "Mobile Apps", "user interfaces, app lifecycle, offline storage", "a packing list that works without signal"
        ),
        _topic(
            "Version Control", "branches, code review, continuous integration", "a shared project with a clean history"
        ),
        _topic(
            "Application Security",
            "threat modelling, cryptography, secure coding",
            "a login form that withstands attack",
        ),
        _topic("Embedded Systems", "microcontrollers, sensors, real-time control", "a plant that asks for water"),
    ),
    "Design": (
        _topic("Typography", "type setting, hierarchy, layout", "a poster that reads well from across a street"),
        _topic("User Research", "interviews, usability tests, personas", "five findings that change a product"),
        _topic(
            "Interface Design", "wireframes, prototypes, accessibility", "a clickable prototype of a ticket machine"
        ),
        _topic("Colour", "palettes, contrast, accessibility", "a palette for a museum guide"),
        _topic("Brand Identity", "logos, layout, storytelling", "an identity for a small bakery"),
        _topic("Motion Graphics", "animation, timing, storyboards", "an opening title of twenty seconds"),
        _topic("Service Design", "journey maps, interviews, prototypes", "a better visit to the registry office"),
        _topic("Illustration", "drawing, composition, palettes", "a series of spot drawings for an article"),
        _topic("Product Design", "sketching, materials, prototypes", "a lamp that can be repaired"),
    ),
    "Business": (
        _topic("Accounting", "bookkeeping, balance sheets, spreadsheets", "the yearly accounts of an invented shop"),
        _topic("Project Management", "planning, risk, stakeholders", "a plan that survives its first week"),
        _topic("Negotiation", "preparation, listening, agreements", "an agreement that both sides keep"),
        _topic("Marketing", "positioning, copywriting, campaign analysis", "a campaign for a repair café"),
        _topic("Entrepreneurship", "business models, interviews, finance", "a one-page plan tested on ten customers"),
        _topic("Leadership", "feedback, delegation, listening", "a team agreement for difficult days"),
        _topic("Supply Chains", "inventory, forecasting, logistics", "a stock plan for a seasonal product"),
        _topic("Personal Finance", "budgets, interest, risk", "a budget that looks twenty years ahead"),
        _topic("Business Writing", "structure, editing, copywriting", "a two-page proposal that is read to its end"),
    ),
    "Languages": (
        _topic("Spanish", "conversation, listening, grammar", "a week of messages with a pen friend"),
        _topic("French", "conversation, pronunciation, grammar", "a recipe explained at a market stall"),
        _topic("German", "grammar, reading, conversation", "a flat viewing without a dictionary"),
        _topic("Japanese", "kana, listening, grammar", "a letter to a host family"),
        _topic("Italian", "conversation, listening, reading", "a retold short story"),
        _topic("Sign Language", "fingerspelling, conversation, visual grammar", "a first conversation without sound"),
        _topic("Academic English", "reading, structure, editing", "an abstract that an editor accepts"),
        _topic("Arabic", "script, pronunciation, conversation", "a tour of your street in your own words"),
        _topic("Translation", "editing, terminology, reading", "a translated museum leaflet"),
    ),
    "Health": (
        _topic("Nutrition", "macronutrients, meal planning, labels", "a week of meals for a family of four"),
        _topic("First Aid", "emergency response, bandaging, resuscitation", "a drill for the first five minutes"),
        _topic("Sleep", "habits, stress, self-observation", "a four-week diary and what it shows"),
        _topic("Physiotherapy", "anatomy, mobility, exercise planning", "a programme for a stiff shoulder"),
        _topic("Mental Health", "stress, listening, self-observation", "a plan for a hard season"),
        _topic("Public Health", "epidemiology, statistics, communication", "a leaflet for an imagined outbreak"),
        _topic("Elder Care", "mobility, communication, meal planning", "a safer flat for a grandparent"),
        _topic("Yoga", "mobility, breathing, sequencing", "a sequence of forty minutes that suits your back"),
        _topic("Anatomy", "anatomy, terminology, drawing", "an atlas of the hand in your own drawings"),
    ),
    "Music": (
        _topic("Piano", "sight reading, scales, rhythm", "two pieces played without stopping"),
        _topic("Guitar", "chords, rhythm, fingerpicking", "an evening of songs for friends"),
        _topic("Music Theory", "harmony, scales, ear training", "a chorale in four parts"),
        _topic("Songwriting", "lyrics, harmony, arranging", "a finished song of three minutes"),
        _topic("Home Recording", "microphones, mixing, editing", "a recording that holds up on small speakers"),
        _topic("Singing", "breathing, ear training, pronunciation", "a duet sung in tune"),
        _topic("Film Scoring", "arranging, orchestration, timing", "music for a silent scene"),
        _topic("Electronic Music", "synthesis, mixing, rhythm", "a track built from a single sound"),
        _topic("Jazz", "improvisation, harmony, rhythm", "a solo over twelve bars"),
    ),
    "History": (
        _topic("Ancient Rome", "primary sources, archaeology, reading", "a day in the life of a water engineer"),
        _topic("the Silk Roads", "maps, trade, primary sources", "a merchant's travel diary"),
        _topic(
            "the Industrial Revolution", "economics, primary sources, maps", "the story of one street in four censuses"
        ),
        _topic("Medieval Cities", "archaeology, maps, trade", "a walking tour of a town that has changed"),
        _topic("the Cold War", "diplomacy, primary sources, reading", "a briefing on a crisis, written the day before"),
        _topic("Oral History", "interviews, archives, editing", "an interview that a local archive keeps"),
        _topic("the History of Science", "reading, archives, experiments", "a famous experiment, repeated"),
        _topic("Family History", "archives, interviews, genealogy", "four generations on one page"),
        _topic("Ancient Egypt", "archaeology, hieroglyphs, reading", "a label for an object in a showcase"),
    ),
    "Science": (
        _topic("Astronomy", "telescopes, orbits, observation", "a log of six clear nights"),
        _topic("Ecology", "fieldwork, statistics, identification", "a survey of one square metre of meadow"),
        _topic("Chemistry", "reactions, safety, experiments", "a lab book of ten kitchen reactions"),
        _topic("Genetics", "inheritance, sequencing, statistics", "a pedigree and what it cannot tell"),
        _topic("Climate Science", "energy balance, modelling, statistics", "a model of the climate in a spreadsheet"),
        _topic("Geology", "minerals, maps, fieldwork", "the story of a stone from your garden"),
        _topic("Neuroscience", "anatomy, perception, experiments", "a demonstration that fools the eye"),
        _topic("Quantum Physics", "linear algebra, measurement, experiments", "an explanation that your aunt accepts"),
        _topic("Oceanography", "currents, maps, observation", "a chart of where a lost bottle goes"),
    ),
    "Crafts": (
        _topic("Woodworking", "joinery, materials, tool care", "a stool without a single screw"),
        _topic("Pottery", "throwing, glazing, materials", "a set of four bowls that stack"),
        _topic("Knitting", "patterns, colourwork, mending", "a hat in two colours"),
        _topic("Bookbinding", "folding, sewing, materials", "a notebook that lies flat"),
        _topic("Sewing", "patterns, mending, fitting", "a shirt that fits"),
        _topic("Bicycle Repair", "tool care, brakes, wheels", "a bicycle that stops in the rain"),
        _topic("Bread Baking", "fermentation, shaping, timing", "a loaf with a crackling crust"),
        _topic("Gardening", "soil, plant care, seasons", "a balcony that feeds a kitchen"),
        _topic("Leatherwork", "stitching, patterns, tool care", "a belt that outlives you"),
    ),
    "Writing": (
        _topic("Short Stories", "plot, dialogue, editing", "a story of two thousand words"),
        _topic("Poetry", "metre, imagery, reading", "a small collection, read aloud"),
        _topic("Journalism", "interviews, fact checking, structure", "a report on something that nobody noticed"),
        _topic("Screenwriting", "dialogue, structure, storyboards", "a short film on ten pages"),
        _topic("Science Writing", "structure, fact checking, storytelling", "an article that an expert signs off"),
        _topic("Memoir", "structure, imagery, editing", "a chapter about one afternoon"),
        _topic("Editing", "editing, structure, terminology", "a text that is half as long and twice as good"),
        _topic("Children's Books", "plot, imagery, illustration", "a picture book of twelve spreads"),
        _topic("Technical Writing", "structure, terminology, usability tests", "a guide that a beginner can follow"),
    ),
    "Society": (
        _topic("Economics", "markets, statistics, policy", "a note on the price of bread"),
        _topic("Ethics", "argument, reading, case studies", "a position that you can defend and revise"),
        _topic("Law", "contracts, argument, case studies", "a plain-language contract for sharing a garden"),
        _topic("Urban Planning", "maps, interviews, policy", "a plan for one crossroads"),
        _topic("Philosophy", "logic, argument, reading", "an essay on a question that has no answer"),
        _topic("Psychology", "perception, experiments, statistics", "a replication of a classic study"),
        _topic("Political Science", "institutions, statistics, argument", "a comparison of two voting rules"),
        _topic("Education", "lesson planning, feedback, assessment", "a lesson taught twice, the second time better"),
        _topic("Sociology", "interviews, fieldwork, statistics", "a portrait of a waiting room"),
    ),
}

_TITLES = {
    "beginner": ("Introduction to {topic}", "First Steps in {topic}", "{topic} from the Beginning"),
    "intermediate": ("{topic} in Practice", "Working with {topic}", "{topic}: The Next Step"),
    "advanced": ("Advanced {topic}", "{topic} in Depth", "{topic}: A Masterclass"),
}
_OPENINGS = {
    "beginner": (
        "No earlier knowledge is needed: this course begins with {first} and goes on to {second}.",
        "A gentle way into {topic}, one step at a time, from {first} to {second}.",
        "Curious about {topic}? Here you learn the groundwork of {first} and {second}.",
    ),
    "intermediate": (
        "For those who know the basics: {first} and {second}, practised on real cases.",
        "This course takes {topic} out of the textbook, with weekly work on {first} and {second}.",
        "You have begun; now make it a habit. We deepen {first} and add {second}.",
    ),
    "advanced": (
        "A demanding course for experienced people, on the fine points of {first} and {second}.",
        "We read, build and criticise work on {topic}, with a focus on {first} and {second}.",
        "Bring a problem of your own: this seminar treats {first} and {second} in full depth.",
    ),
}
_MIDDLES = (
    "Along the way you meet {third} and learn where it goes wrong.",
    "Short films, exercises with answers, and a forum; {third} has a week of its own.",
    "Each week has one idea, one exercise and one conversation, and {third} runs through all of them.",
    "Guests from the field show how they use {third} in their daily work.",
    "Feedback comes from your peers and from a tutor, on {third} above all.",
)
_CLOSINGS = (
    "At the end you have {product}.",
    "The final project: {product}.",
    "You leave with {product}.",
    "Everything leads to one piece of work: {product}.",
)
_PROVIDERS = (
    "Northgate Institute",
    "Lumen Academy",
    "Harbour College",
    "Open Workshop",
    "Alder University",
    "Meridian School",
    "Evening Faculty",
    "Tilia Foundation",
)
_GOALS = ("new job", "current job", "study", "curiosity", "hobby")
_LOWEST_HOURS = {"beginner": 6, "intermediate": 12, "advanced": 20}


@dataclass(frozen=True)
class Course:
    """One course of the catalogue."""

    id: str
    title: str
    description: str
    category: str
    skills: tuple[str, ...]
    level: str
    duration_hours: int
    provider: str


def make_courses(count: int = 300, seed: int = 0) -> list[Course]:
    """Courses with distinct titles: every topic at up to three levels, in a drawn order; at most 324.

    Raises
    ------
    ValueError: more courses are asked for than there are topics and levels.
    """
    every = [(category, topic, level) for category, topics in TOPICS.items() for topic in topics for level in LEVELS]
    if not 1 <= count <= len(every):
        raise ValueError(f"the word banks make 1 to {len(every)} courses, not {count}")
    generator = np.random.default_rng([seed, 10])
    chosen = [every[place] for place in generator.permutation(len(every))[:count]]
    return [
        _course(f"C{number:04d}", category, topic, level, generator)
        for number, (category, topic, level) in enumerate(chosen, start=1)
    ]


def _course(identifier: str, category: str, topic: Topic, level: str, generator: np.random.Generator) -> Course:
    def pick(choices: Sequence[str]) -> str:
        return choices[int(generator.integers(len(choices)))]

    first, second, third = (topic.skills[place] for place in generator.permutation(3))
    title = pick(_TITLES[level]).format(topic=topic.name)
    sentences = (pick(_OPENINGS[level]), pick(_MIDDLES), pick(_CLOSINGS))
    description = " ".join(
        sentence.format(topic=topic.name, first=first, second=second, third=third, product=topic.product)
        for sentence in sentences
    )
    hours = _LOWEST_HOURS[level] + 2 * int(generator.integers(0, 12))
    return Course(
        identifier, title[0].upper() + title[1:], description, category, topic.skills, level, hours, pick(_PROVIDERS)
    )


@dataclass(frozen=True)
class CourseSample:
    """A catalogue and what happened to it.

    learners: (id, interests, experience, goal, weekly hours). enrolments: (learner, course, event, time).
    """

    courses: list[Course]
    learners: list[tuple[str, str, str, str, int]]
    enrolments: list[tuple[str, str, str, str]]


def make_course_sample(courses: int = 300, learners: int = 800, enrolments: int = 8000, seed: int = 0) -> CourseSample:
    """A catalogue, its learners and what they did; the same numbers and seed give the same sample."""
    catalogue = make_courses(courses, seed)
    names = list(TOPICS)
    categories = np.array([names.index(course.category) for course in catalogue], dtype=np.int32)
    params = SyntheticParams(
        users=learners,
        items=courses,
        interactions=enrolments,
        categories=len(names),
        popularity_exponent=0.8,
        taste_strength=0.85,
        taste_concentration=0.2,
        drift=0.25,
        first_time=_FIRST_TIME,
        days=900,
    )
    world = make_world(params, seed, categories)
    made = make_interactions(params, seed, world=world)
    generator = np.random.default_rng([seed, 11])
    people = [(f"L{number + 1:05d}", *_learner(world.tastes[number], names, generator)) for number in range(learners)]
    events = _events(made, generator)
    in_time = np.argsort(made.timestamps, kind="stable")
    rows = [
        (
            people[made.users[row]][0],
            catalogue[made.items[row]].id,
            events[row],
            datetime.fromtimestamp(int(made.timestamps[row]), UTC).strftime("%Y-%m-%d %H:%M:%S"),
        )
        for row in in_time
    ]
    return CourseSample(catalogue, people, rows)


def _learner(
    taste: npt.NDArray[np.float32], names: Sequence[str], generator: np.random.Generator
) -> tuple[str, str, str, int]:
    """What a learner says: interests that follow the taste, experience, goal, hours a week."""
    favourite = np.argsort(-taste, kind="stable")
    interests = [names[place] for place in favourite[: 1 + int(generator.integers(3))]]
    experience = LEVELS[int(generator.choice(3, p=[0.5, 0.35, 0.15]))]
    return "|".join(interests), experience, _GOALS[int(generator.integers(len(_GOALS)))], int(generator.integers(1, 13))


def _events(made: MadeInteractions, generator: np.random.Generator) -> list[str]:
    """How far it went: the better the fit, the likelier a course is finished."""
    finished = made.affinity + generator.normal(0, 0.2, len(made.users))
    return ["complete" if value > 0.7 else "enrol" if value > 0.35 else "view" for value in finished]


def write_course_sample(folder: Path, sample: CourseSample) -> None:
    """Write courses.csv, learners.csv and enrolments.csv into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    _write(
        folder / "courses.csv",
        ("id", "title", "description", "category", "skills", "level", "duration_hours", "provider"),
        (
            (
                course.id,
                course.title,
                course.description,
                course.category,
                "|".join(course.skills),
                course.level,
                course.duration_hours,
                course.provider,
            )
            for course in sample.courses
        ),
    )
    _write(
        folder / "learners.csv",
        ("learner_id", "interests", "experience", "goal", "weekly_hours"),
        sample.learners,
    )
    _write(folder / "enrolments.csv", ("learner_id", "course_id", "event", "time"), sample.enrolments)


def _write(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
