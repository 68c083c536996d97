"""Cases and suites as YAML, as a person would write them: what a program found, ready to be read, edited and kept."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final

from costlens_policy.diagnostics.text import printable
from costlens_policy.engine.decision import Balance
from costlens_policy.engine.facts import Approval
from costlens_policy.frozen import frozen
from costlens_policy.quantiles import CallKind, Measured, Measures, lowest_of

__all__ = ["WrittenCase", "written_cases", "written_suite"]

_LONGEST: Final = 110
_PLAIN: Final = re.compile(r"[A-Za-z_](?:[\w./@-]|(?<! ) (?=\S))*")
_WORDS: Final = frozenset({"true", "false", "yes", "no", "on", "off", "null", "y", "n"})
_MOST_NAME: Final = 200


@frozen
class WrittenCase:
    """A case: its request, balances by budget and scope key, its time if it is another than the suite's.

    ``expect`` has the keys of a case's ``expect``; ``comments`` stand above the case; ``measured`` is what calls have
    come to.
    """

    name: str
    request: Mapping[str, Any]
    expect: Mapping[str, Any]
    balances: Mapping[tuple[str, str], Balance]
    now: datetime | None = None
    comments: tuple[str, ...] = ()
    measured: Measures = field(default_factory=dict)


def written_suite(name: str, policy_set: str, now: datetime | None, cases: Iterable[WrittenCase]) -> str:
    """Return a document of kind ``Suite``; ``policy_set`` is relative to the file that it is written to."""
    head = [
        "apiVersion: costlens-policy/v1",
        "kind: Suite",
        f'metadata: {{name: {_flow(name)}, version: "1"}}',
        f"policy_set: {_flow(policy_set)}",
    ]
    if now is not None:
        head.append(f"now: {_flow(now)}")
    return "\n".join([*head, "cases:", *written_cases(cases)]) + "\n"


def written_cases(cases: Iterable[WrittenCase]) -> Iterator[str]:
    """Yield the lines of the items of ``cases``; two cases of one name are numbered."""
    used: set[str] = set()
    for case in cases:
        yield from (f"  # {printable(' '.join(comment.split()))}" for comment in case.comments)
        yield f"  - name: {_flow(_unused(case.name, used))}"
        yield from (f"    {line}" for line in _entry("request", dict(case.request)))
        if case.now is not None:
            yield f"    now: {_flow(case.now)}"
        if case.balances:
            yield "    balances:"
            yield from (f"      - {_flow(_balance(*place, balance))}" for place, balance in case.balances.items())
        if case.measured:
            yield "    measured:"
            yield from (f"      - {_flow(_measured(kind, known))}" for kind, known in case.measured.items())
        yield from (f"    {line}" for line in _entry("expect", dict(case.expect)))


def _unused(name: str, used: set[str]) -> str:
    name, number = name[:_MOST_NAME], 1
    found = name
    while found in used:
        number += 1
        found = f"{name[: _MOST_NAME - 8]} ({number})"
    used.add(found)
    return found


def _balance(budget: str, key: str, balance: Balance) -> dict[str, Any]:
    found: dict[str, Any] = {"budget": budget}
    if key:
        found["key"] = key
    found["used"] = balance.used
    more: dict[str, Any] = {"held": balance.held or None, "override": balance.override, "topup": balance.topup or None}
    more |= {
        "started_at": balance.started_at,
        "recent": dict(balance.recent) or None,
        "approvals": [_approval(item) for item in balance.approvals] or None,
        "earlier": list(balance.earlier) or None,
        "set_aside": balance.set_aside or None,
        "reserved": balance.reserved,
    }
    return found | {name: value for name, value in more.items() if value is not None}


def _measured(kind: CallKind, known: Measured) -> dict[str, Any]:
    output = lowest_of(kind.band)
    return {
        "budget": kind.budget, "model": kind.model, "task": kind.task, "output_tokens": output, **known._asdict(),
    }  # fmt: skip


def _approval(item: Approval) -> dict[str, Any]:
    found: dict[str, Any] = {"threshold": item.threshold, "up_to": item.up_to}
    return found if item.expires_at is None else {**found, "expires_at": item.expires_at}


def _entry(key: str, value: dict[str, Any]) -> Iterator[str]:
    """Yield a key with its map, on one line where there is room."""
    line = f"{key}: {_flow(value)}"
    if len(line) <= _LONGEST:
        yield line
        return
    yield f"{key}:"
    yield from (f"  {_flow(name)}: {_flow(item)}" for name, item in value.items())


def _flow(value: Any) -> str:
    """Return a value in YAML's flow style."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_flow(str(key))}: {_flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_flow, value)) + "]"
    if isinstance(value, str):
        return value if _is_plain(value) else _quoted(value)
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, Decimal):
        return f"{value:f}"
    return value.isoformat() if isinstance(value, date) else json.dumps(value)


def _quoted(text: str) -> str:
    """Return a text in double quotes; what cannot be seen is an escape, which YAML has for a whole character each."""
    written = json.dumps(text, ensure_ascii=False)
    return written if written.isprintable() else "".join(map(_escaped, written))


def _escaped(character: str) -> str:
    code = ord(character)
    if character.isprintable():
        return character
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _is_plain(text: str) -> bool:
    return _PLAIN.fullmatch(text) is not None and text.lower() not in _WORDS
