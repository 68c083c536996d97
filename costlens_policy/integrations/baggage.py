"""Runs between processes: in the headers of W3C Baggage, or else from the trace that a request belongs to.

Sources: W3C Baggage (https://www.w3.org/TR/baggage/), whose member ``costlens.run`` is the path of a run,
percent-encoded; W3C Trace Context (https://www.w3.org/TR/trace-context/), version 00, whose trace id names a run where
no baggage does: one trace is one tree, and its spans are no runs of their own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote, unquote

from costlens_policy.guard.errors import GuardError
from costlens_policy.guard.runs import run_now
from costlens_policy.runs import run_problem

__all__ = ["run_headers", "run_of_headers"]

_MEMBER: Final = "costlens.run"
_PARENT: Final = re.compile(
    r"(?P<version>(?!ff)[0-9a-f]{2})-(?!0{32})(?P<trace>[0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?P<more>-.*)?"
)
"""A header ``traceparent`` that is valid, but for what version 00 has no more of; any other counts as absent, as the
recommendation has it."""
_NO_ENCODING: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")


def run_headers(run: str | None = None) -> dict[str, str]:
    """Return the headers that pass a run on to another process: that of the blocks around, unless one is named.

    There are none outside of all runs. Raises ``GuardError`` for what is not the path of a run.
    """
    if run is None:
        block = run_now()
        if block is None:
            return {}
        run = block.path
    if problem := run_problem(run):
        raise GuardError(f"the run {problem}")
    return {"baggage": f"{_MEMBER}={quote(run, safe='/')}"}


def run_of_headers(headers: Mapping[str, str]) -> str | None:
    """Return the run that the headers of a request name, in lower case as names: its path, or the id of its trace.

    None where they name none. Read only what your own services send: who sets headers chooses the run. Raises
    ``GuardError`` for a run that is not a path, or that is named twice.
    """
    members = [member.partition(";")[0] for member in headers.get("baggage", "").split(",")]
    named = [value for name, is_there, value in map(_parted, members) if is_there and name == _MEMBER]
    if len(named) > 1:
        raise GuardError(f"the header `baggage` must have `{_MEMBER}` once")
    if named:
        return _path(named[0])
    parent = _PARENT.fullmatch(headers.get("traceparent", "").strip())
    is_valid = parent is not None and not (parent["version"] == "00" and parent["more"])
    return parent["trace"] if parent is not None and is_valid else None


def _path(encoded: str) -> str:
    """Return the path of a run. Raises ``GuardError`` for what is none, or is not percent-encoded UTF-8."""
    try:
        path = "" if _NO_ENCODING.search(encoded) else unquote(encoded, errors="strict")
    except UnicodeDecodeError:
        path = ""
    problem = run_problem(path) if path else "must be the path of a run, percent-encoded as UTF-8"
    if problem:
        raise GuardError(f"`{_MEMBER}` of the header `baggage` {problem}")
    return path


def _parted(member: str) -> tuple[str, str, str]:
    name, equals, value = member.partition("=")
    return name.strip(), equals, value.strip()
