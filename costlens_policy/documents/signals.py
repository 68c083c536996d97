"""A document of signals: what is worked out from the text of a request, so that rules can read it."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from costlens_policy.documents.document import (
    AttributeName,
    Document,
    DurationText,
    FilePath,
    Number,
    Pattern,
    Ratio,
    Section,
)

__all__ = ["Examples", "ExternalSignal", "LearnedSignal", "Signal", "SignalsDocument", "Terms"]

Label = Annotated[str, Field(min_length=1, max_length=100, examples=["code"])]
_Text = Annotated[str, Field(min_length=1, max_length=20_000)]
_Weight = Annotated[Number, Field(gt=0, le=1_000_000, examples=[2])]


class Terms(Section):
    """Words or a pattern, and what each that occurs weighs."""

    exactly_one: ClassVar = ("words", "pattern")

    words: Annotated[
        tuple[_Text, ...], Field(min_length=1, max_length=1_000, examples=[["traceback", "stack trace"]])
    ] = ()
    """Words and phrases, in any case; each that occurs counts once. Between letters and digits they are not found."""
    pattern: Annotated[Pattern, Field(examples=[r"(?m)^\s*def \w+\("])] | None = None
    """Regular expression (RE2); it counts once, however often it matches."""
    weight: _Weight = Decimal(1)
    """What each of them adds."""


class Examples(Section):
    """Texts that stand for what is meant."""

    examples: Annotated[tuple[_Text, ...], Field(min_length=1, max_length=1_000)]
    """The texts. What counts is the one that is most alike."""


class LearnedSignal(Section):
    """A linear model over words and characters, in a file of its own."""

    model: Annotated[FilePath, Field(examples=["signals/task.json"])]
    """The file, as ``fit --signal`` writes it."""
    digest: Annotated[
        str,
        Field(
            pattern=r"^sha256:[0-9a-f]{64}$",
            json_schema_extra={"patternErrorMessage": "`sha256:` and 64 digits and letters from a to f"},
            examples=["sha256:" + "0" * 64],
        ),
    ]
    """SHA-256 of the file: another file is an error."""


class ExternalSignal(Section):
    """A signal that your own code provides: a classifier, or an embedding service."""

    exactly_one: ClassVar = ("labels", "range", "flag")

    labels: Annotated[tuple[Label, ...], Field(max_length=1_000, examples=[["angry", "calm"]])] = ()
    """The labels that it may give."""
    range: Annotated[tuple[Number, Number], Field(examples=[[0, 1]])] | None = None
    """The lowest and the highest number that it may give."""
    flag: Literal[True] | None = None
    """It gives true or false."""
    time_limit: Annotated[DurationText, Field(examples=["200ms"])] = "1s"
    """How long to wait for it; after that it counts as absent."""

    @model_validator(mode="after")
    def _ordered(self) -> ExternalSignal:
        if self.range is not None and self.range[0] >= self.range[1]:
            raise ValueError("the first number of `range` must be lower than the second")
        return self


class Signal(Section):
    """One signal: exactly one of the keys that say how it is worked out, what it reads, and when it is absent."""

    exactly_one: ClassVar = (
        "labels", "score", "length", "language", "share", "nearest", "likeness", "learned", "external",
        "confidence_of",
    )  # fmt: skip

    description: str = ""
    """What the signal is for."""
    labels: (
        Annotated[
            dict[Label, Annotated[tuple[Terms, ...], Field(min_length=1)]],
            Field(
                min_length=1, max_length=1_000, examples=[{"code": [{"words": ["traceback", "refactor"], "weight": 2}]}]
            ),
        ]
        | None
    ) = None
    """A label, told by words and patterns: the one whose terms weigh most. Absent where none occurs."""
    score: Annotated[tuple[Terms, ...], Field(examples=[[{"words": ["urgent", "asap"]}]])] = ()
    """A number (double): the sum of the weights of the words and patterns that occur."""
    length: Literal["characters", "words", "lines"] | None = None
    """A number (int): how long the text is."""
    language: Annotated[tuple[Label, ...], Field(max_length=100, examples=[["en", "de", "fr"]])] = ()
    """A label: the language of the text, of these (ISO 639-1). Absent where none is likely."""
    share: Literal["code", "numbers", "questions"] | None = None
    """A number from 0 to 1: the share of lines of code, of characters in numbers, or of sentences that ask."""
    nearest: (
        Annotated[
            dict[Label, Annotated[tuple[_Text, ...], Field(min_length=1)]],
            Field(min_length=1, max_length=1_000, examples=[{"refund": ["I want my money back"]}]),
        ]
        | None
    ) = None
    """A label: that of the example which is most alike."""
    likeness: Examples | None = None
    """A number from 0 to 1: how much the text is like the example that is most alike."""
    learned: LearnedSignal | None = None
    """A label or a number that was learned from data."""
    external: ExternalSignal | None = None
    """A label, a number or a truth value that your own code provides before the decision."""
    confidence_of: AttributeName | None = None
    """A number from 0 to 1: how sure another signal of this document is, also where it is too unsure to have a value.
    """
    reads: Literal["last_user_message", "user_messages", "all_messages"] = "last_user_message"
    """Which texts it reads: the last message of the user, all messages of the user, or all messages, with the system's
    and the assistant's. A ``prompt`` counts as a message of the user."""
    max_characters: Annotated[int, Field(ge=1, le=1_000_000)] = 20_000
    """How much of the text it reads, from the beginning."""
    min_confidence: Ratio | None = None
    """How sure it must be, from 0 to 1; below that it is absent."""
    default: Annotated[str | bool | Number, Field(examples=["other", 0.5])] | None = None
    """Its value where it would be absent; it then always has one."""


class SignalsDocument(Document):
    """Signals that every policy of the set reads as ``signals.name``."""

    kind: Literal["Signals"]
    """This document declares signals."""
    signals: Annotated[dict[AttributeName, Signal], Field(min_length=1)]
    """The signals by their names."""
