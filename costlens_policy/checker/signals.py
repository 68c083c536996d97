"""Signals of a policy set: its documents of signals as the engine has them, and what is wrong with any declaration."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from decimal import Decimal
from hashlib import sha256
from typing import Any, Final

from costlens_policy.checker.bundle import LinkedDocument, SharedSignals
from costlens_policy.clock import duration_of
from costlens_policy.diagnostics.model import Diagnostic, Related, Severity, Span
from costlens_policy.diagnostics.suggestion import did_you_mean, listed
from costlens_policy.documents.signals import LearnedSignal, SignalsDocument
from costlens_policy.documents.signals import Signal as Declared
from costlens_policy.documents.signals import Terms as DeclaredTerms
from costlens_policy.expressions.syntax.tokens import KEYWORDS, RESERVED
from costlens_policy.patterns import PatternError, compile_pattern
from costlens_policy.signals.given import ConfidenceOf, External, Learned
from costlens_policy.signals.languages import LANGUAGES, Language
from costlens_policy.signals.likeness import Likeness, Nearest
from costlens_policy.signals.measures import Length, Share
from costlens_policy.signals.signal import Kind, Signal
from costlens_policy.signals.terms import Labels, Score, Term
from costlens_policy.signals.weighed import Value
from costlens_policy.signals.words import folded, words_of
from costlens_policy.source.located import Path, SourceText

__all__ = ["OpenFile", "read_signals"]

OpenFile = Callable[[str, Span, str], "SourceText | Diagnostic"]
"""Opens a file: by the path that a document names, the place where it does, and the name of the document's own file."""

_NORWEGIAN: Final = frozenset({"nb", "nn"})
"""Codes of its two written forms, of which `no` knows the more frequent, Bokmål."""


def read_signals(
    documents: Sequence[LinkedDocument[SignalsDocument]], open_file: OpenFile
) -> tuple[SharedSignals, tuple[Diagnostic, ...]]:
    """Return the signals of some documents, and what is wrong with any. One that is wrong is left out."""
    found: dict[str, Signal] = {}
    places: dict[str, Span] = {}
    files: list[str] = []
    diagnostics: list[Diagnostic] = []
    for document in documents:
        for name, declared in document.document.signals.items():
            reader = _Reader(document, name, declared, open_file)
            signal = reader.read()
            diagnostics += reader.diagnostics
            files += reader.files
            if (before := places.setdefault(name, reader.key)) != reader.key:
                related = (Related(before, "first here"),)
                message = f"two signals of the set are named `{name}`"
                diagnostics.append(
                    Diagnostic(
                        "CL206", Severity.ERROR, message, reader.key, "again here", "rename one of them", related
                    )
                )
            elif signal is not None:
                found[name] = signal
    return SharedSignals(found, tuple(dict.fromkeys(files))), tuple(diagnostics)


class _Reader:
    """One declaration. ``files`` are the names of the side files that it has."""

    def __init__(
        self, document: LinkedDocument[SignalsDocument], name: str, declared: Declared, open_file: OpenFile
    ) -> None:
        self._document = document
        self._name = name
        self._declared = declared
        self._open = open_file
        self._path: Path = ("signals", name)
        self.key = self._key_span()
        self.diagnostics: list[Diagnostic] = []
        self.files: list[str] = []

    def read(self) -> Signal | None:
        kind = self._kind()
        self._check_name()
        self._check_used()
        if kind is None or self.diagnostics:
            return None
        given = self._declared
        signal = Signal(
            name=self._name,
            kind=kind,
            reads=given.reads,
            max_characters=given.max_characters,
            min_confidence=float(given.min_confidence or 0),
            default=None,
            description=given.description,
        )
        if given.default is not None:
            self._check_default(signal, given.default)
            signal = replace(signal, default=_value(given.default, signal.type))
        return None if self.diagnostics else signal

    def _check_name(self) -> None:
        """Report a name that CEL keeps for itself: `signals.in` is no expression."""
        if self._name in KEYWORDS | RESERVED:
            message = f"the name of a signal must not be a word that CEL reserves, got `{self._name}`"
            self.diagnostics.append(
                Diagnostic("CL229", Severity.ERROR, message, self.key, "reserved", "choose another name")
            )

    def _check_used(self) -> None:
        """Report settings that change nothing, and texts without a word, which nothing is like."""
        given = self._declared
        is_given = given.external is not None or given.confidence_of is not None
        if given.min_confidence is not None and not (given.labels or given.language or given.nearest or given.learned):
            self._report(
                "`min_confidence` changes nothing here", "min_confidence",
                advice="signals with labels, and learned ones, have a confidence",
            )  # fmt: skip
        for name in {"reads", "max_characters"} & given.model_fields_set if is_given else ():
            self._report(f"`{name}` changes nothing here", name, label="reads no text")
        if given.external is not None and not duration_of(given.external.time_limit):
            self._report("the time limit must be above zero", "external", "time_limit", label="no time to answer")
        for steps, text in self._texts():
            if not words_of(folded(text)):
                self._report("an example must have a word", *steps, label="nothing is like it")

    def _texts(self) -> Iterator[tuple[tuple[str | int, ...], str]]:
        given = self._declared
        for label, texts in (given.nearest or {}).items():
            yield from ((("nearest", label, index), text) for index, text in enumerate(texts))
        if given.likeness is not None:
            examples = enumerate(given.likeness.examples)
            yield from ((("likeness", "examples", index), text) for index, text in examples)

    def _key_span(self) -> Span:
        found = self._document.located.root.key_span(self._path)
        assert found is not None
        return found

    def _report(self, message: str, *steps: str | int, label: str = "", advice: str = "", code: str = "CL229") -> None:
        span = self._document.located.root.span_of((*self._path, *steps))
        self.diagnostics.append(Diagnostic(code, Severity.ERROR, message, span, label, advice))

    def _kind(self) -> Kind | None:
        given = self._declared
        if given.labels:
            return Labels({label: self._terms(terms, "labels", label) for label, terms in given.labels.items()})
        if given.score:
            return Score(self._terms(given.score, "score"))
        if given.length is not None:
            return Length(given.length)
        if given.share is not None:
            return Share(given.share)
        if given.language:
            return self._language()
        if given.nearest:
            return Nearest(given.nearest)
        if given.likeness is not None:
            return Likeness(given.likeness.examples)
        if given.confidence_of is not None:
            return self._confidence_of(given.confidence_of)
        return self._external() if given.learned is None else self._learned(given.learned)

    def _terms(self, terms: Sequence[DeclaredTerms], *steps: str) -> tuple[Term, ...]:
        for index, term in enumerate(terms):
            for at, word in enumerate(term.words):
                if not word.strip():
                    self._report("a word must not be blank", *steps, index, "words", at, label="found in every text")
            if term.pattern is None:
                continue
            try:
                compiled = compile_pattern(term.pattern)
            except PatternError as error:
                self._report(
                    "the pattern must be valid RE2 syntax", *steps, index, "pattern", label=error.reason, code="CL418"
                )
                continue
            if compiled.found(b""):
                self._report(
                    "the pattern matches every text", *steps, index, "pattern", label="it matches no text at all, too",
                    advice="ask for at least one character, such as `+` in place of `*`",
                )  # fmt: skip
        return tuple(Term(term.words, term.pattern or "", float(term.weight)) for term in terms)

    def _language(self) -> Language | None:
        for index, label in enumerate(self._declared.language):
            if label not in LANGUAGES:
                near = "did you mean `no`?" if label in _NORWEGIAN else did_you_mean(label, LANGUAGES)
                advice = near or f"the languages are {listed(LANGUAGES)}"
                self._report(f"unknown language `{label}`", "language", index, label="not known", advice=advice)
        return Language(self._declared.language)

    def _confidence_of(self, other: str) -> ConfidenceOf | None:
        declared = self._document.document.signals
        found = declared.get(other)
        if found is None:
            advice = did_you_mean(other, declared) or f"the signals of this document are {listed(declared)}"
            self._report(f"unknown signal `{other}`", "confidence_of", label="not declared here", advice=advice)
        elif not (found.labels or found.language or found.nearest or found.learned):
            advice = "signals with labels, and learned ones, have a confidence"
            self._report(f"the signal `{other}` has no confidence", "confidence_of", advice=advice)
        return ConfidenceOf(other)

    def _external(self) -> External | None:
        given = self._declared.external
        assert given is not None
        range_ = None if given.range is None else (float(given.range[0]), float(given.range[1]))
        return External(given.labels, range_, bool(given.flag), duration_of(given.time_limit).total_seconds())

    def _learned(self, given: LearnedSignal) -> Learned | None:
        from costlens_policy.signals.learned import read_model  # only for those who have such a signal

        located = self._document.located
        span = located.root.span_of((*self._path, "learned", "model"))
        source = self._open(given.model, span, located.source.name)
        if isinstance(source, Diagnostic):
            self.diagnostics.append(source)
            return None
        self.files.append(source.name)
        digest = f"sha256:{sha256(source.text.encode()).hexdigest()}"
        if digest != given.digest:
            self._report(
                f"`{given.model}` is another file than the one that was declared", "learned", "digest",
                label="digest of another file",
                advice=f"if the change is meant, write `digest: {digest}`", code="CL230",
            )  # fmt: skip
            return None
        try:
            model = read_model(source.text)
        except ValueError as problem:
            self._report(f"`{given.model}` cannot be used: {problem}", "learned", "model", code="CL230")
            return None
        return Learned(source.text, tuple(model.labels), model.range)

    def _check_default(self, signal: Signal, default: Any) -> None:
        """Report a default that is not one of the signal's values. That of a label may be another word."""
        wanted = signal.type
        found = {str: "string", bool: "bool"}.get(type(default), "number")
        if (wanted if wanted in ("string", "bool") else "number") != found:
            self._report(f"the default must be of type {wanted}", "default", label=f"not of type {wanted}")
        elif wanted == "int" and default != int(default):
            self._report(f"the default must be of type int, got `{default}`", "default", label="not an integer")
        elif isinstance(signal.kind, External) and found == "string" and default not in signal.kind.labels:
            near = did_you_mean(default, signal.kind.labels) or f"choose {listed(signal.kind.labels, 'or')}"
            self._report(f"the default must be one of `labels`, got `{default}`", "default", advice=near)
        elif found == "number" and signal.range is not None and not signal.range[0] <= default <= signal.range[1]:
            low, high = signal.range
            self._report(f"the default must be from {low:g} to {high:g}, got `{default}`", "default")


def _value(default: Any, type_: str) -> Value:
    if isinstance(default, Decimal):
        return int(default) if type_ == "int" else float(default)
    return default  # type: ignore[no-any-return]  # a text or a truth value
