"""What is wrong with a call as it would be sent, and requests that may be sent so."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Final

from costlens_policy.documents.invariants import Invariant, ParameterBounds
from costlens_policy.documents.parameters import OUTPUT_LIMIT
from costlens_policy.documents.rewrites import Operation, Redact
from costlens_policy.rewrites import Content, RewriteError, RewriteStep, compile_operation
from costlens_policy.rewrites.shapes import leading_system

__all__ = ["DATA", "SENT", "asking", "what_breaks"]

SENT: Final = frozenset({"rewritten_in_order", "redacted", "system_contains", "params"})
"""Claims about what is sent."""
DATA: Final[Mapping[str, str]] = {
    "email": "ann@example.com",
    "phone": "+49 30 1234567",
    "credit_card": "4111 1111 1111 1111",
    "iban": "DE89 3704 0044 0532 0130 00",
    "us_ssn": "123-45-6789",
    "ipv4": "192.0.2.7",
    "ipv6": "2001:db8::8a2e:370:7334",
    "url_credentials": "https://user:secret@example.com",
    "api_key": "ghp_0123456789abcdefghijklmnopqrstuvwxyz",
}
"""A text of each kind of personal data; none belongs to anyone."""


def what_breaks(invariant: Invariant, rewrites: tuple[str, ...], content: Content) -> str:
    """Return how a call breaks an invariant about what is sent, or an empty text."""
    if invariant.rewritten_in_order:
        return _out_of_order(invariant.rewritten_in_order, rewrites)
    if invariant.redacted:
        return _unredacted(invariant.redacted, content)
    if (text := invariant.system_contains) is not None:
        return "" if any(text in found for found in _system_texts(content)) else f"and its system text lacks `{text}`"
    found = (_out_of_bounds(name, bounds, content) for name, bounds in invariant.parameters.items())
    return next(filter(None, found), "")


def _out_of_order(wanted: tuple[str, ...], rewrites: tuple[str, ...]) -> str:
    place = {rule: at for at, rule in enumerate(rewrites)}
    for index, first in enumerate(wanted):
        for second in wanted[index + 1 :]:
            if first in place and second in place and place[second] < place[first]:
                return f"and `{second}` is applied before `{first}`"
    return ""


def _unredacted(kinds: tuple[str, ...], content: Content) -> str:
    """Return what redacting once more would still find."""
    try:
        _, changes = _redaction(kinds).apply(content, ())
    except RewriteError as error:
        return f"and cannot be searched for personal data: {error}"
    where = next(iter(changes), None)
    return "" if where is None else f"and `{where.target}` holds data of the kind `{where.counts[0][0]}`"


@cache
def _redaction(kinds: tuple[str, ...]) -> RewriteStep:
    return compile_operation(Operation(redact=Redact(kinds=kinds)), {})  # type: ignore[arg-type]  # of the invariant


def _system_texts(content: Content) -> Iterator[str]:
    messages = content.messages or ()
    yield from _texts(content.system)
    yield from _texts(content.params.get("system"))
    for message in messages[: leading_system(messages)]:
        yield from _texts(message)


def _texts(value: Any) -> Iterator[str]:
    """Yield all texts in a value, at any depth."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item)


def _out_of_bounds(name: str, bounds: ParameterBounds, content: Content) -> str:
    value = content.params.get(name)
    broken = bounds.judged(value)
    if not broken:
        return ""
    return f"and is sent without `{name}`" if broken == "absent" else f"and is sent with `{name}` {value!r}"


def asking(invariant: Invariant) -> Iterator[dict[str, Any]]:
    """Yield what a request may have that breaks an invariant about what is sent."""
    for kind in invariant.redacted or ():
        yield {"prompt": f"Write to {DATA[kind]} today."}
        yield {"messages": [{"role": "user", "content": f"Write to {DATA[kind]} today."}]}
    if invariant.system_contains is not None:
        yield {"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello."}]}
    for name, bounds in invariant.parameters.items():
        for value in _beyond(bounds):
            if name != OUTPUT_LIMIT:
                yield {"params": {name: value}}
            elif isinstance(value, int) and value > 0:
                yield {OUTPUT_LIMIT: value}


def _beyond(bounds: ParameterBounds) -> Iterator[Any]:
    if bounds.max is not None:
        yield int(bounds.max // 1) + 1
    if bounds.min is not None:
        yield int(bounds.min // 1) - 1
    if bounds.max is None and bounds.min is None:
        yield from (1, "other")
