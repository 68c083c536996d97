"""Learned signals: linear models over words and characters, stored as data."""

from __future__ import annotations

from typing import Protocol

__all__ = ["Model", "read_model", "weigh"]


class Model(Protocol):
    """What a model file says of its values: ``labels``, or for a number its ``range``."""

    @property
    def labels(self) -> tuple[str, ...]: ...
    @property
    def range(self) -> tuple[float, float] | None: ...


def read_model(content: str) -> Model:
    """Return the model of a file. Raises ``ValueError`` for a text that is none."""
    raise ValueError("learned models are not supported yet")


def weigh(model: Model, text: str) -> tuple[str | float, float, tuple[tuple[str, float], ...]]:
    """Return the value of a text, how sure the model is, and the words that weighed most, each with its weight."""
    raise NotImplementedError
