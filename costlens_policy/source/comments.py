"""Find texts that a comment cuts off inside quotes, as in ``when: request.tag == "a #1"``."""

from __future__ import annotations

import re
from typing import Final

from costlens_policy.diagnostics.model import Diagnostic, Severity
from costlens_policy.source.located import SourceText
from costlens_policy.source.places import span_between

__all__ = ["cut_by_comment"]

_CLOSED: Final = re.compile(r'"[^"]*"|\'[^\']*\'')
_OPEN: Final = re.compile(r"(?:^|[\s(\[,=<>+])([\"'])")
_COMMENT: Final = re.compile(r"[ \t]+(#[^\r\n]*)")


def cut_by_comment(source: SourceText, text: str, end: int) -> Diagnostic | None:
    """Return a problem where a plain scalar ends at ``end`` with a quote open that the comment after it closes."""
    opened = _OPEN.search(_CLOSED.sub("", text))
    comment = _COMMENT.match(source.text, end)
    if opened is None or comment is None or opened.group(1) not in comment.group(1):
        return None
    return Diagnostic(
        "CL023",
        Severity.ERROR,
        "a comment starts inside quotes and cuts the text off",
        span_between(source, comment.start(1), comment.end(1)),
        label="a `#` after a space starts a comment",
        help="put the whole value in quotes, or on lines of its own after `|`",
    )
