"""What the engine refuses or reports, as typed errors whose text is meant for the person at the screen."""

from __future__ import annotations

from collections.abc import Iterable

from recsys_desktop.api.errors import RecSysError


class EngineError(RecSysError):
    """A use case could not be carried out; the message says why and what to do."""


class Misuse(EngineError):
    """The request itself is wrong: an unknown algorithm, splitter, user or item, or options that do not go together."""


class UnknownName(Misuse):
    """Something was asked for by a name that nothing bears.

    what: "algorithm", "splitter", "item", ...; name: as given; known: what there is (the nearest are suggested);
    hint: said where nothing is near; remark: said in any case.
    """

    def __init__(self, what: str, name: str, known: Iterable[str] = (), hint: str = "", remark: str = "") -> None:
        import difflib

        choices = list(known)
        near = difflib.get_close_matches(name, choices, n=3, cutoff=0.5)
        if near:
            advice = "did you mean " + " or ".join(f"'{choice}'" for choice in near) + "?"
        elif choices and len(choices) <= 60:
            advice = "there is: " + ", ".join(choices)
        else:
            advice = hint
        super().__init__("; ".join(filter(None, (f"there is no {what} '{name}'", advice, remark))))
        self.what = what
        self.name = name


class Cancelled(EngineError):
    """The person asked for the run to stop and its result to be discarded."""

    def __init__(self) -> None:
        super().__init__("cancelled: nothing of this run was kept")


class NothingToKeep(Cancelled):
    """The person asked to stop and keep the best so far before there was a model."""

    def __init__(self) -> None:
        EngineError.__init__(self, "stopped before there was a model to keep")


class DoesNotFit(EngineError):
    """The forecast says that a fit needs more memory than is free; the message names a cheaper algorithm."""


class TrainingFailed(EngineError):
    """An algorithm could not be fitted; the message gives its reason."""


class ServingFailed(EngineError):
    """No model and no fallback could answer."""
