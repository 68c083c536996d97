"""Data that is given on the command line beside the policies: YAML or JSON, from a file or standard input."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from costlens_policy.cli.console import standard_input
from costlens_policy.cli.rejected import RejectedError, bad_request
from costlens_policy.cli.strict_json import read_json
from costlens_policy.diagnostics.model import PolicyError, Span
from costlens_policy.source.located import LocatedValue, Path, SourceText
from costlens_policy.source.read import read_source, read_stdin

__all__ = ["Input", "read_input"]


@dataclass(frozen=True, slots=True)
class Input:
    """One value as plain data. ``root`` gives what knows its places; JSON that YAML cannot express has none."""

    source: SourceText
    content: Any
    root: Callable[[], LocatedValue | None]

    def place(self, path: Path) -> Span | None:
        """Return where the value at a path stands, or the nearest value around it."""
        root = self.root()
        return None if root is None else root.span_of(path)

    def key_place(self, path: Path) -> Span | None:
        """Return where the key of a value stands."""
        root = self.root()
        return None if root is None else root.key_span(path) or root.span_of(path)


def read_input(path: str, what: str) -> Input:
    """Read one value; ``-`` is standard input, ``what`` names it to the user. Raises ``RejectedError``."""
    try:
        source = read_stdin(standard_input()) if path == "-" else read_source(path)
    except PolicyError as error:
        raise RejectedError(error.diagnostics) from error
    return _json(source) or _yaml(source, what)


def _json(source: SourceText) -> Input | None:
    """Return a value of JSON, None for what is none. The parser of YAML is imported for its places, if at all."""
    if source.text.lstrip()[:1] not in ("{", "["):
        return None
    try:
        content = read_json(source.text)
    except ValueError:
        return None  # the problems that the YAML reader sees have places
    return Input(source, content, cache(lambda: _root(source)))


def _root(source: SourceText) -> LocatedValue | None:
    from costlens_policy.source.compose import compose

    composed = compose(source)
    return None if any(item.is_error for item in composed.diagnostics) else composed.documents[0].root


def _yaml(source: SourceText, what: str) -> Input:
    from costlens_policy.source.compose import compose

    composed = compose(source)
    if errors := [item for item in composed.diagnostics if item.is_error]:
        raise RejectedError(errors, (source,))
    if len(composed.documents) > 1:
        problem = bad_request(
            f"the file holds more than one {what}", composed.documents[1].root.span, "use one file for each"
        )
        raise RejectedError([problem], (source,))
    root = composed.documents[0].root
    return Input(source, root.to_plain(), lambda: root)
