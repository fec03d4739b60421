"""Verbs that ask a saved model: recommend, predict, explain, similar."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from recsys_desktop.cli.output import Output
from recsys_desktop.cli.settings import Settings, everywhere
from recsys_desktop.cli.text import NOTHING, counted, figure, percent
from recsys_desktop.cli.values import filters, moment
from recsys_desktop.cli.work import opened, running
from recsys_desktop.engine import (
    Engine,
    ExplainRequest,
    ExplanationPart,
    ExplanationView,
    HistoryEntry,
    Misuse,
    RecommendationList,
    RecommendRequest,
)

ModelArgument = Annotated[str, typer.Argument(help="A name (its active version), NAME@VERSION, or an id.")]
UserOption = Annotated[str | None, typer.Option("--user", "-u", help="A user id, as in the file.")]
HistoryOption = Annotated[
    Path | None,
    typer.Option("--history", help="File of a person not in the data: items, perhaps ratings and times.", exists=True),
]
FilterOption = Annotated[
    list[str] | None,
    typer.Option("--filter", metavar="COLUMN=VALUE", help="Only items with this value (A|B for several, 1990..1999)."),
]
InterestOption = Annotated[
    list[str] | None,
    typer.Option("--interest", metavar="TEXT", help="A stated interest, for algorithms that use them."),
]

AsOfOption = Annotated[
    str | None,
    typer.Option("--as-of", metavar="DATE", help="Ask for this moment instead of now, where a model goes by time."),
]


def _history(engine: Engine, model: str, path: Path | None) -> list[HistoryEntry] | None:
    return None if path is None else engine.read_history(model, path)


def _one_of(user: str | None, history: Path | None) -> None:
    if user is not None and history is not None:
        raise Misuse("--user and --history do not go together: a history is that of somebody who is not in the data")


@everywhere
def recommend(
    settings: Settings,
    model: ModelArgument,
    user: UserOption = None,
    history: HistoryOption = None,
    all_users: Annotated[bool, typer.Option("--all-users", help="A list for every user, into --out.")] = False,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="CSV file for --all-users.")] = None,
    n: Annotated[int, typer.Option("-n", metavar="N", min=1, help="Length of the list.")] = 10,
    explain: Annotated[bool, typer.Option("--explain", help="With the contributions to each score.")] = False,
    filter: FilterOption = None,
    interest: InterestOption = None,
    as_of: AsOfOption = None,
    include_seen: Annotated[bool, typer.Option("--include-seen", help="Also list what the person has.")] = False,
) -> None:
    """Recommend items to a user of the data, to somebody with a history, or to everybody."""
    output = Output(settings.json)
    if all_users:
        if user is not None or history is not None or filter or interest or explain or as_of:
            raise Misuse("--all-users goes with --out, -n and --include-seen only")
        if out is None:
            raise Misuse("--all-users needs --out FILE")
        with opened(settings, "read") as engine, running(settings) as run:
            written = engine.recommend_all(model, out, n, not include_seen, run)
            output.document("recommend-all", written)
            lists = counted(written.n_rows, "recommendation")
            output.say(f"Wrote {lists} for {counted(written.n_users, 'person', 'people')} to {written.path}.")
            _notices(output, written.notices)
        return
    if out is not None:
        raise Misuse("--out goes with --all-users")
    _one_of(user, history)
    wanted = filters(filter or ())
    with opened(settings, "read") as engine, running(settings) as run:
        request = RecommendRequest(
            model,
            user,
            _history(engine, model, history),
            n,
            not include_seen,
            wanted,
            tuple(interest or ()),
            moment(as_of),
            explain,
        )
        answer = engine.recommend(request, run)
    output.document("recommend", answer)
    show_list(output, answer)


def show_list(output: Output, answer: RecommendationList) -> None:
    """A ranked list for people, with a sentence for each item."""
    if answer.person.user is not None:
        whom = answer.person.user
    elif answer.person.n_history:
        whom = f"a history of {counted(answer.person.n_history, 'item')}"
    else:
        whom = "somebody without a history"
    output.table(
        [("", "right"), "item", "title", ("score", "right"), ("confidence", "right"), "why"],
        [
            (
                item.rank,
                item.item,
                item.title,
                figure(item.score),
                percent(item.confidence),
                item.sentence.text,
            )
            for item in answer.items
        ],
        title=f"{answer.model} for {whom}",
    )
    for item in answer.items:
        if item.explanation is not None:
            output.say(f"{item.rank}. {item.title}")
            _parts(output, item.explanation)
    _notices(output, answer.notices)


def _notices(output: Output, notices: tuple[str, ...]) -> None:
    for notice in notices:
        output.say(f"Note: {notice.rstrip('.')}.")


@everywhere
def predict(
    settings: Settings,
    model: ModelArgument,
    pairs: Annotated[Path, typer.Option("--pairs", help="File with users, items and perhaps ratings.", exists=True)],
    out: Annotated[Path, typer.Option("--out", "-o", help="CSV file to write: user,item,rating,prediction,source.")],
) -> None:
    """Predict ratings for the rows of a file."""
    output = Output(settings.json)
    with opened(settings, "read") as engine, running(settings) as run:
        written = engine.predict(model, pairs, out, run)
    output.document("predict", written)
    output.say(f"Wrote {counted(written.n_rows, 'prediction')} to {written.path}.")
    if written.rmse is not None:
        output.say(f"Against the ratings in the file: RMSE {figure(written.rmse)}, MAE {figure(written.mae)}.")
    _notices(output, written.notices)


@everywhere
def explain(
    settings: Settings,
    model: ModelArgument,
    item: Annotated[str, typer.Option("--item", "-i", help="An item id, as in the file.")],
    user: UserOption = None,
    history: HistoryOption = None,
    filter: FilterOption = None,
    interest: InterestOption = None,
    as_of: AsOfOption = None,
) -> None:
    """Explain the score of an item for a person: contributions that add up, a sentence, and a what-if."""
    output = Output(settings.json)
    _one_of(user, history)
    wanted = filters(filter or ())
    with opened(settings, "read") as engine, running(settings) as run:
        entries = _history(engine, model, history)
        request = ExplainRequest(model, item, user, entries, wanted, tuple(interest or ()), moment(as_of))
        view = engine.explain(request, run)
    output.document("explain", view)
    output.say(f"{view.title} ({view.item}), by {view.served_by}")
    output.say(view.sentence.text)
    _parts(output, view)
    if view.counterfactual is not None:
        output.say(view.counterfactual.sentence.text)
    interval = view.confidence_interval
    between = "" if interval is None else f" ({percent(interval[0])} to {percent(interval[1])})"
    output.say(f"Confidence: {percent(view.confidence)}{between}")
    _notices(output, view.notices)


def _described(part: ExplanationPart) -> str:
    rated = f", rated {part.rating:g}" if part.rating is not None else ""
    return part.kind + rated + (f": {part.shared}" if part.shared else "")


def _parts(output: Output, view: ExplanationView) -> None:
    shown = view.parts[:15]
    rest = sum(part.value for part in view.parts[15:])
    rows = [("base", "", f"{view.base:+.4f}")] if view.base else []
    rows += [(part.label, _described(part), f"{part.value:+.4f}") for part in shown]
    if len(view.parts) > len(shown):
        rows.append((f"{len(view.parts) - len(shown)} more", "", f"{rest:+.4f}"))
    if abs(view.residual) > 1e-6 * max(1.0, abs(view.score)):
        rows.append(("not accounted for", "", f"{view.residual:+.4f}"))
    rows.append(("score", "", f"{view.score:.4f}"))
    output.table(["what", "", ("contribution", "right")], rows)
    output.say(f"How: {view.method or NOTHING}.")


@everywhere
def similar(
    settings: Settings,
    model: ModelArgument,
    item: Annotated[str, typer.Option("--item", "-i", help="An item id, as in the file.")],
    n: Annotated[int, typer.Option("-n", metavar="N", min=1, help="How many.")] = 10,
) -> None:
    """List the items most like an item."""
    output = Output(settings.json)
    with opened(settings, "read") as engine:
        found = engine.similar_items(model, item, n)
    output.document("similar", {"item": item, "items": found})
    output.table(
        ["item", "title", ("similarity", "right"), "by"],
        [(other.item, other.title, figure(other.similarity), other.method) for other in found],
    )
