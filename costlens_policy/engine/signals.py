"""The record ``signals`` of expressions: each signal is worked out when a rule first reads it, and never twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from costlens_policy.checker.attributes import SIGNALS
from costlens_policy.engine.when_read import WhenRead
from costlens_policy.expressions import Value
from costlens_policy.signals import ABSENT, Signal, Weighed, text_of
from costlens_policy.signals.given import ConfidenceOf

__all__ = ["SignalValues", "weigh"]

_UNKNOWN: Final = object()


class SignalValues(WhenRead):
    """The signals of one request. One that is absent is no field of the record.

    What the request comes with under ``signals`` is taken as it is, and None there means absent. A signal that fails is
    absent, too, and reported to ``failed`` with its name.
    """

    __slots__ = ("_absent", "_failed", "_given", "_request", "_signals")

    def __init__(
        self, signals: Mapping[str, Signal], request: Mapping[str, Any], failed: Callable[[str, str], None]
    ) -> None:
        super().__init__()
        self._signals = signals
        self._request = request
        self._failed = failed
        self._given: Mapping[str, Value] = request.get(SIGNALS) or {}
        self._absent: set[str] = set()
        self._names = signals

    def known(self) -> dict[str, Value]:
        """Return the values that came with the request or were worked out; None for a signal that is absent."""
        return {**self._given, **dict.fromkeys(sorted(self._absent)), **dict(sorted(dict.items(self)))}

    def __contains__(self, name: object) -> bool:
        return dict.__contains__(self, name) or (isinstance(name, str) and self._value(name) is not None)

    def __iter__(self) -> Iterator[str]:
        return (name for name in self._names if name in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def get(self, name: str, default: Value = None) -> Value:
        value = dict.get(self, name)
        if value is None:
            value = self._value(name)
        return default if value is None else value

    def __missing__(self, name: str) -> Value:
        value = self._value(name)
        if value is None:
            raise KeyError(name)
        return value

    def _value(self, name: str) -> Value:
        """Return the value of a signal, None where it is absent, and keep it."""
        signal = self._signals.get(name)
        if signal is None or name in self._absent:
            return None
        given = self._given.get(name, _UNKNOWN)
        value = self._worked_out(signal) if given is _UNKNOWN else signal.default if given is None else given
        if value is None:
            self._absent.add(name)
        else:
            self[name] = value
        return value

    def _worked_out(self, signal: Signal) -> Value:
        try:
            return signal.value_of(weigh(signal, self._signals, self._request))
        except Exception as error:  # one signal that fails must not keep a request from being decided
            self._failed(signal.name, f"the signal failed with `{type(error).__name__}`")
            return signal.default


def weigh(signal: Signal, signals: Mapping[str, Signal], request: Mapping[str, Any]) -> Weighed:
    """Return what a signal comes to for a request, whatever its declaration makes of that."""
    if isinstance(signal.kind, ConfidenceOf):
        found = weigh(signals[signal.kind.signal], signals, request)
        return ABSENT if found.value is None else Weighed(found.confidence, 1.0, found.words, found.explain)
    text = text_of(request, signal.reads, signal.max_characters)
    return ABSENT if text is None else signal.weigh(text)
