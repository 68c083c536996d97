"""Problems with the structure of a YAML file; one function for each code."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from costlens_policy.diagnostics.model import Diagnostic, Related, Severity, Span

__all__ = [
    "collection_as_key", "duplicate_anchor", "duplicate_key", "empty_file", "half_character", "key_not_text",
    "merge_key", "recursive_alias", "tag_refused", "too_deep", "too_many_aliased", "too_many_values", "unknown_alias",
]  # fmt: skip


def empty_file(span: Span) -> Diagnostic:
    return Diagnostic(
        "CL007",
        Severity.ERROR,
        "the file contains no document",
        span,
        help="write one, starting with `apiVersion` and `kind`, or remove the file",
    )


def duplicate_key(key: str, span: Span, first: Span) -> Diagnostic:
    return Diagnostic(
        "CL008",
        Severity.ERROR,
        f"the key `{key}` appears twice in one mapping",
        span,
        label="again here",
        help="remove or rename one of them",
        related=(Related(first, "first here"),),
    )


def merge_key(span: Span) -> Diagnostic:
    return Diagnostic(
        "CL009",
        Severity.ERROR,
        "merge keys (`<<`) are not allowed",
        span,
        label="this copies keys that are not visible here",
        help="write the keys out",
    )


def unknown_alias(name: str, span: Span, known: Iterable[str]) -> Diagnostic:
    close = get_close_matches(name, known, n=1)
    advice = f"did you mean `*{close[0]}`?" if close else "quote the value if it is text that starts with `*`"
    return Diagnostic("CL010", Severity.ERROR, f"there is no anchor `&{name}` above", span, help=advice)


def duplicate_anchor(name: str, span: Span, first: Span) -> Diagnostic:
    return Diagnostic(
        "CL011",
        Severity.ERROR,
        f"the anchor `&{name}` is set twice",
        span,
        label="again here",
        help="rename one of them",
        related=(Related(first, "first here"),),
    )


def recursive_alias(name: str, span: Span, anchor: Span) -> Diagnostic:
    return Diagnostic(
        "CL012",
        Severity.ERROR,
        f"the alias `*{name}` is inside the value that it repeats",
        span,
        help="write the value out",
        related=(Related(anchor, "this value would contain itself"),),
    )


def too_many_aliased(name: str, span: Span, most: int) -> Diagnostic:
    return Diagnostic(
        "CL013",
        Severity.ERROR,
        f"aliases repeat more than {most:,} values in this file",
        span,
        label=f"`*{name}` exceeds the limit",
        help="write the values out, or repeat fewer of them",
    )


def key_not_text(text: str, kind: str, span: Span) -> Diagnostic:
    if not text:
        message, advice = "a key is missing before the colon", "write a key before the colon"
    else:
        message, advice = f"the key `{text}` is read as {kind}", f'write it in quotes: `"{text}"`'
    return Diagnostic("CL018", Severity.ERROR, message, span, label="keys must be text", help=advice)


def collection_as_key(kind: str, span: Span) -> Diagnostic:
    return Diagnostic("CL018", Severity.ERROR, f"a key must be text, not {kind}", span, help="use a string as the key")


def half_character(span: Span) -> Diagnostic:
    return Diagnostic(
        "CL005",
        Severity.ERROR,
        "an escape in this string is half a surrogate pair",
        span,
        label="U+D800 to U+DFFF are not characters",
        help="write the character itself, or `\\U` with eight digits",
    )


def tag_refused(tag: str, span: Span) -> Diagnostic:
    return Diagnostic(
        "CL019",
        Severity.ERROR,
        f"`{tag}` is a YAML tag, and tags are not allowed",
        span,
        help="quote the value if it is text that starts with `!`, else remove the tag",
    )


def too_deep(span: Span, most: int) -> Diagnostic:
    return Diagnostic(
        "CL020",
        Severity.ERROR,
        f"values are nested more than {most} levels deep",
        span,
        help="no document needs this; check how the file was made",
    )


def too_many_values(span: Span, most: int) -> Diagnostic:
    return Diagnostic(
        "CL021",
        Severity.ERROR,
        f"the file contains more than {most:,} values",
        span,
        help="split it into several files",
    )
