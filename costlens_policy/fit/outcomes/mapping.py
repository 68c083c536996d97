"""Which column of outcomes holds which field, on what scale scores are, and what is done about contradictions."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import field, replace
from typing import Any, Final, Literal

from costlens_policy.diagnostics.suggestion import did_you_mean, listed
from costlens_policy.fit.outcomes.cases import OutcomesError
from costlens_policy.frozen import frozen
from costlens_policy.replay.traffic.mapping import ColumnMapping

__all__ = ["BY_MODEL", "FIELDS", "Conflicts", "OutcomeSettings", "RangeError", "Scale", "fields_by_name", "is_misspelt"]

FIELDS: Final = (
    "id", "task", "prompt", "model", "score", "scores", "run", "prompt_tokens", "output_tokens", "cost", "latency_ms",
    "time",
)  # fmt: skip
"""What is read of a row: `scores` is an object of scores by model, `run` tells repeated runs of a case apart."""
BY_MODEL: Final = ("score", "output_tokens", "cost", "latency_ms")
"""Fields that may have a column for each model, as in `score.gpt-5=correct`."""
_OF_REPLAY: Final = frozenset({"id", "model", "prompt_tokens", "cost", "request.task", "request.prompt"})
"""Fields of replay's mappings that mean the same here."""
Conflicts = Literal["refuse", "mean", "drop"]

_WORDS: Final[Mapping[str, float]] = {
    **dict.fromkeys(("true", "pass", "passed", "correct", "yes"), 1.0),
    **dict.fromkeys(("false", "fail", "failed", "incorrect", "no"), 0.0),
}
_THUMBS: Final[Mapping[str, float]] = {
    **dict.fromkeys(("up", "thumbs_up", "thumbs-up", "thumbs up", "\N{THUMBS UP SIGN}", "like", "positive"), 1.0),
    **dict.fromkeys(("down", "thumbs_down", "thumbs-down", "thumbs down", "\N{THUMBS DOWN SIGN}", "dislike"), 0.0),
    "negative": 0.0,
}


class RangeError(ValueError):
    """A score is outside the scale."""


_PERCENT: Final = re.compile(r"\s*\d+([.,]\d+)?\s*%\s*")
_COMMA: Final = re.compile(r"\s*-?\d+,\d+\s*%?\s*")


def _hint(text: str) -> str:
    """Return what to do about a number that is written otherwise: with a decimal comma, or a sign of percent."""
    if _COMMA.fullmatch(text):
        return ", as decimals are written with a point, such as `0.5`"
    return ", as percent need `--scale 0..100`" if _PERCENT.fullmatch(text) else ""


def is_misspelt(value: Any) -> bool:
    """Whether a value is a number that is written otherwise than scores are read."""
    return isinstance(value, str) and bool(_hint(value))


@frozen
class Scale:
    """The worst and the best score there may be. Words such as `true` and `fail` are scores on every scale."""

    low: float = 0.0
    high: float = 1.0
    words: Mapping[str, float] = field(default_factory=lambda: _WORDS)

    @classmethod
    def parse(cls, text: str) -> Scale:
        """Read `0..100`, `1..5`, or `thumbs`. Raises ``OutcomesError``."""
        if text == "thumbs":
            return cls(words={**_WORDS, **_THUMBS})
        first, dots, last = text.partition("..")
        try:
            low, high = float(first), float(last)
        except ValueError:
            low = high = math.nan
        if not dots or not math.isfinite(low) or not math.isfinite(high) or low >= high:
            raise OutcomesError(
                f"a scale must be its worst and its best score such as `0..100`, or `thumbs`, got `{text}`"
            )
        return cls(low, high)

    def score(self, value: Any) -> float | None:
        """Return a score from 0 to 1; None for NaN. Raises ``ValueError``, and ``RangeError`` outside the scale."""
        kind = value.__class__
        if kind is bool:
            return 1.0 if value else 0.0
        if kind is str:
            word = self.words.get(value.strip().lower())
            if word is not None:
                return word
        try:
            number = float(value)
        except (TypeError, ValueError, OverflowError):
            number = self._percent(value)
        if self.low <= number <= self.high:
            return (number - self.low) / (self.high - self.low)
        if math.isnan(number):
            return None
        raise RangeError(str(value)[:30])

    def _percent(self, value: Any) -> float:
        """Return a number with a sign of percent, where the scale is one of percent. Raises ``ValueError``."""
        text = str(value)
        if (self.low, self.high) == (0, 100) and _PERCENT.fullmatch(text) and "," not in text:
            return float(text.replace("%", ""))
        raise ValueError(f"`{text[:30]}` is not a score{_hint(text)}")

    def __str__(self) -> str:
        return f"{self.low:g} to {self.high:g}"


@frozen
class OutcomeSettings:
    """How outcomes are read.

    ``columns`` and ``constants`` are by field, as those of a replay; a column can be a path (``metadata.kind``) and can
    have alternatives (``a|b``). ``only`` keeps rows that have this value in a column, ``without``
    leaves out those that have one of these. ``models`` are models by the name
    that they have in the files. ``conflicts`` is what becomes of two scores for one case and model. ``drop`` are files
    of prompts to leave out. A task with fewer than ``few`` cases is noted.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    constants: Mapping[str, Any] = field(default_factory=dict)
    only: Mapping[str, str] = field(default_factory=dict)
    without: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    scale: Scale = Scale()
    models: Mapping[str, str] = field(default_factory=dict)
    conflicts: Conflicts = "refuse"
    drop: tuple[str, ...] = ()
    few: int = 30

    def with_mapping(self, mapping: ColumnMapping) -> OutcomeSettings:
        """Return the settings with the columns of a replay's mapping, where the caller has not mapped them.

        Its ``outcomes`` are columns of scores. What only a replay reads, such as the time of a call, is not taken.
        """
        columns = {name: column for name, column in mapping.columns.items() if name in _OF_REPLAY}
        scores = {f"score.{model}": column for model, column in mapping.outcomes.items()}
        constants = {name: value for name, value in mapping.constants.items() if name in _OF_REPLAY}
        return replace(
            self,
            columns={**columns, **scores, **self.columns},
            constants={**constants, **self.constants},
            without={**mapping.drop, **self.without},
        )


def fields_by_name(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return columns or constants by their fields, `request.task` as `task`. Raises ``OutcomesError``."""
    found = {}
    for name, value in given.items():
        plain = name.removeprefix("request.")
        base, dot, model = plain.partition(".")
        if plain not in FIELDS and not (base in BY_MODEL and dot and model):
            known = f"the fields are {listed(FIELDS, most=99)}, and `score.MODEL` for a column of each model"
            raise OutcomesError(f"unknown field `{name}`; {did_you_mean(plain, FIELDS) or known}")
        found[plain] = value
    return found
