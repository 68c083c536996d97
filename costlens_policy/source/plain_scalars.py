"""Give plain scalars their meaning: the core schema of YAML 1.2, exact decimals and ISO dates.

Where the older YAML 1.1 reads a scalar differently, the author is told, since other tools in the same
repository may follow it.
"""

from __future__ import annotations

import re
from datetime import date, datetime
from decimal import Decimal
from typing import Final

from costlens_policy.diagnostics.model import Severity
from costlens_policy.frozen import frozen
from costlens_policy.source.located import Scalar

__all__ = ["Doubt", "resolve_plain"]

_MOST_DIGITS: Final = 60
_MOST_EXPONENT: Final = 300

_WORDS: Final[dict[str, Scalar]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_TRUTH_WORDS: Final = {"y": "true", "yes": "true", "on": "true", "n": "false", "no": "false", "off": "false"}

_INTEGER: Final = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_PREFIXED: Final = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_DECIMAL: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE]([-+]?[0-9]+))?")
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_TIME: Final = re.compile(
    rf"{_DATE.pattern}(?:[Tt]| +)[0-9]{{2}}:[0-9]{{2}}:[0-9]{{2}}(?:\.[0-9]+)?(?:Z|[-+][0-9]{{2}}(?::?[0-9]{{2}})?)?"
)
_NOT_FINITE: Final = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_OCTAL: Final = re.compile(r"[-+]?0[0-9]+")
_SEXAGESIMAL: Final = re.compile(r"[-+]?[0-9]+(?::[0-5]?[0-9])+(?:\.[0-9]*)?")
_UNDERSCORED: Final = re.compile(
    r"[-+]?(?:0x[0-9a-fA-F_]+|0o[0-7_]+|0b[01_]+|[0-9][0-9_]*(?:\.[0-9_]*)?(?:[eE][-+]?[0-9]+)?|\.[0-9][0-9_]*)"
)


@frozen
class Doubt:
    """What is questionable about a plain scalar; the caller knows where it stands."""

    code: str
    severity: Severity
    message: str
    label: str
    help: str

    def is_about_number(self) -> bool:
        """Tell whether the scalar might be a number or date, not a boolean."""
        return self.severity is Severity.ERROR


def resolve_plain(text: str) -> tuple[Scalar, Doubt | None]:
    """Return the value of a plain scalar, and a doubt about it; under a doubt the value is the text."""
    if text in _WORDS:
        return _WORDS[text], None
    if text[0] in "-+.0123456789":
        return _number_or_time(text)
    if text.lower() in _TRUTH_WORDS:
        return text, _truth_word(text)
    return text, None


def _number_or_time(text: str) -> tuple[Scalar, Doubt | None]:
    if _OCTAL.fullmatch(text):
        return text, _ambiguous(text, f"write `{_stripped(text)}`, or quote it if it is text")
    if match := _DECIMAL.fullmatch(text):
        return _number(text, match.group(1))
    if _PREFIXED.fullmatch(text):
        return (int(text, 0), None) if len(text) <= _MOST_DIGITS else (text, _out_of_range(text))
    if _DATE.fullmatch(text) or _TIME.fullmatch(text):
        return _moment(text)
    if _NOT_FINITE.fullmatch(text):
        return text, _not_finite(text)
    if _SEXAGESIMAL.fullmatch(text):
        return text, _ambiguous(text, "quote it")
    if _UNDERSCORED.fullmatch(text):
        return text, _ambiguous(text, "write it without underscores and in decimal, or quote it if it is text")
    return text, None


def _number(text: str, exponent: str | None) -> tuple[Scalar, Doubt | None]:
    if len(text) > _MOST_DIGITS or (exponent and abs(int(exponent)) > _MOST_EXPONENT):
        return text, _out_of_range(text)
    return (int(text) if _INTEGER.fullmatch(text) else Decimal(text)), None


def _moment(text: str) -> tuple[Scalar, Doubt | None]:
    try:
        if len(text) == len("2026-01-31"):
            return date.fromisoformat(text), None
        day, time = text[:10], text[10:].lstrip("Tt ")
        return datetime.fromisoformat(f"{day}T{time}"), None
    except ValueError as error:
        return text, Doubt(
            "CL017",
            Severity.ERROR,
            f"`{text}` is not a valid date",
            str(error),
            "correct it, or quote it if it is text",
        )


def _truth_word(text: str) -> Doubt:
    meaning = _TRUTH_WORDS[text.lower()]
    return Doubt(
        "CL014",
        Severity.WARNING,
        f"`{text}` is text here, but other YAML readers take it for `{meaning}`",
        "neither quoted nor `true` or `false`",
        f'write `{meaning}`, or `"{text}"` if it is text',
    )


def _ambiguous(text: str, advice: str) -> Doubt:
    return Doubt(
        "CL015",
        Severity.ERROR,
        f"`{text}` is a number to some YAML readers and something else to others",
        "neither clearly a number nor clearly text",
        advice,
    )


def _not_finite(text: str) -> Doubt:
    return Doubt(
        "CL016",
        Severity.ERROR,
        f"`{text}` is not a finite number",
        "not a valid amount or limit",
        "leave the key out if there is no limit, or quote it if it is text",
    )


def _out_of_range(text: str) -> Doubt:
    shown = text if len(text) <= 24 else f"{text[:20]}…"
    return Doubt(
        "CL016",
        Severity.ERROR,
        f"the number `{shown}` is out of range",
        f"at most {_MOST_DIGITS} characters and exponents from -{_MOST_EXPONENT} to {_MOST_EXPONENT}",
        "write a smaller number, or quote it if it is text",
    )


def _stripped(text: str) -> str:
    sign = text[0] if text[0] in "-+" else ""
    return sign + (text.lstrip("-+").lstrip("0") or "0")
