"""Errors that the contract names: each message says what is wrong, where, and what to do."""

from __future__ import annotations


class RecSysError(Exception):
    """Base of every error that is meant to be read by the person at the screen."""


class InvalidParameter(RecSysError):
    """A parameter has the wrong name, type or value."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"parameter '{name}': {reason}")
        self.name = name
        self.reason = reason


class InvalidData(RecSysError):
    """Arrays handed to the contract do not fit together."""


class CannotFit(RecSysError):
    """The model is undefined on this data (0 or 1 users or items, no text for a text model, ...)."""


class CannotServe(RecSysError):
    """A fitted model was asked for something that it does not offer."""


class NotFitted(RecSysError):
    """A model was asked for an answer before `fit`."""


class StateError(RecSysError):
    """A saved model cannot be read: damaged, made by a newer version, or by an unknown algorithm."""
