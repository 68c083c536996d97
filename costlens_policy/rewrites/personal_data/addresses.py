"""Addresses of people and machines: e-mail, with letters of the Latin, Greek and Cyrillic alphabets, and IP."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from typing import Final

from costlens_policy.rewrites.personal_data.detector import Detector, Extent, alphanumeric_at, pattern

__all__ = ["EMAIL", "EMAIL_SPELLED", "IPV4", "IPV6"]

_LETTERS: Final = r"\p{Latin}\p{Greek}\p{Cyrillic}"
"""Letters of scripts that put spaces between words; in others nothing would part an address from the text around it."""

_AT: Final = r"[\[({<]\s{0,3}(?:at|\x{e4}t|@)\s{0,3}[\])}>]"
_DOT: Final = r"[\[({<]\s{0,3}(?:dot|punkt|punto|point|ponto|\.)\s{0,3}[\])}>]"
"""How people write the signs of an address that no program shall read."""


def _accept_email(data: bytes, start: int, end: int) -> Extent | None:
    """Refuse the ``git@host:path`` of repositories, which names no person."""
    if data[start : start + 4] == b"git@" and data[end : end + 1] in (b":", b"/"):
        return None
    return start, end


_LOCAL: Final = rf"[{_LETTERS}0-9_%+-][{_LETTERS}0-9_.%+'&~-]*"
_LABEL: Final = rf"[{_LETTERS}0-9][{_LETTERS}0-9-]*"
_NEXT: Final = rf"(?:\.|\s{{0,3}}{_DOT}\s{{0,3}})"

EMAIL: Final = Detector(
    pattern(rf"[{_LETTERS}0-9_%+-][{_LETTERS}0-9_.%+'&~-]*@[{_LETTERS}0-9](?:[{_LETTERS}0-9.-]*)\.[{_LETTERS}]{{2,}}"),
    _accept_email,
    lengthy=True,
)

EMAIL_SPELLED: Final = Detector(
    pattern(
        rf"(?i){_LOCAL}\s{{0,3}}{_AT}\s{{0,3}}{_LABEL}(?:{_NEXT}{_LABEL})*{_NEXT}[{_LETTERS}]{{2,}}"
        rf"|{_LOCAL}@{_LABEL}(?:\.{_LABEL})*\s{{0,3}}{_DOT}\s{{0,3}}(?:{_LABEL}{_NEXT})*[{_LETTERS}]{{2,}}"
    ),
    lengthy=True,
)
"""Addresses such as ``bob [at] example (dot) com``."""

_LONGEST_IPV6: Final = 45
_COLONS: Final = re.compile(rb"(?<![0-9A-Fa-f:])[0-9A-Fa-f]*:[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*")
_ADDRESS: Final = re.compile(
    rb"(?<![\w])(?<![0-9]\.)" + rb"\.".join([rb"(?:25[0-5]|2[0-4][0-9]|[01]?[0-9]{1,2})"] * 4) + rb"(?!\w|\.[0-9])"
)
_VERSION_AFTER: Final = re.compile(
    rb"(?i)[-_.+~]?(?:rc|alpha|beta|dev|pre|preview|snapshot|build|final|ga|release|patch|post|sp|hotfix|nightly|canary)"
    rb"(?:\b|[-._]?[0-9])|\.(?:tar|t?gz|zip|whl|jar|deb|rpm|exe|dll|msi|apk|dmg|pkg|so|egg|nupkg|gem)\b|[+][0-9a-z]"
)
_WORD_BEFORE: Final = re.compile(
    rb"(?i)(?:=[=~!]|=?[<>]|\^)[\w\]]"
    rb"|v?[ \t:=/#\"'(]{0,4}(?:\.(?=(?:s?rev?|ver|gif|v)\b))?(?:(?:on|rn|rebmun|si) )?"
    rb"([\w\x80-\xff]{1,24})(?![\w\x80-\xff])"
)
_NUMBER_BEFORE: Final = re.compile(
    rb"(?i)v?[ \t]*(?:,|;|/|-|&|>-|ot|dna|ro|litnu)[ \t]*[0-9]{1,4}(?:\.[0-9]{1,4}){1,3}(?![0-9.])"
)
"""What stands before a version, and between several. Both are read backwards."""
_VERSION_WORDS: Final = frozenset(
    "v ver vers version versions versi\xf3n versione vers\xe3o \u7248\u672c \u30d0\u30fc\u30b8\u30e7\u30f3 build "
    "builds release releases rev revision revisions firmware kernel driver sdk section sections chapter chapters "
    "clause clauses paragraph paragraphs \xa7 article articles figure figures fig appendix annex oid chrome chromium "
    "headlesschrome edg edga opr opera safari firefox brave vivaldi".encode().split()
)
_LOOK_BACK: Final = 40
_MOST_VERSIONS: Final = 5


def _scan_ipv4(data: bytes) -> Iterator[Extent]:
    """Find addresses, without versions, sections of texts and object identifiers, which look the same."""
    for match in _ADDRESS.finditer(data):
        start, end = match.span()
        if not _VERSION_AFTER.match(data, end) and not _is_version(data, start):
            yield start, end


def _is_version(data: bytes, start: int) -> bool:
    """Return whether what stands before four numbers makes them a version, also the last of several."""
    for _ in range(_MOST_VERSIONS):
        before = data[max(0, start - _LOOK_BACK) : start]
        listed = _NUMBER_BEFORE.match(before[::-1])
        if listed is None:
            break
        start -= listed.end()
    found = _WORD_BEFORE.match(data[max(0, start - _LOOK_BACK) : start][::-1])
    return found is not None and (found[1] is None or found[1][::-1].lower() in _VERSION_WORDS)


def _scan_ipv6(data: bytes) -> Iterator[Extent]:
    for match in _COLONS.finditer(data):
        text = match[0]
        if (b"::" in text or text.count(b":") >= 6) and (found := _accept_ipv6(data, *match.span())) is not None:
            yield found


def _accept_ipv6(data: bytes, start: int, end: int) -> Extent | None:
    """Trim the punctuation of the sentence, then let the standard library decide."""
    text = data[start:end]
    if text.startswith(b":") and not text.startswith(b"::"):
        start += 1
    while end > start and (data[end - 1] == 0x2E or (data[end - 1] == 0x3A and data[end - 2 : end] != b"::")):
        end -= 1
    if end - start > _LONGEST_IPV6 or alphanumeric_at(data, start - 1) or alphanumeric_at(data, end):
        return None
    text = data[start:end]
    if not any(0x30 <= byte <= 0x39 for byte in text) or (len(text) < 4 and text != b"::1"):
        return None  # `a::b` and `[::2]` are words of programming languages
    try:
        ipaddress.IPv6Address(text.decode("ascii"))
    except ValueError:
        return None
    return start, end


IPV4: Final = Detector(pattern(r"\b[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}\b"), scan=_scan_ipv4)
IPV6: Final = Detector(
    pattern(r"[0-9A-Fa-f:]*::[0-9A-Fa-f:.]*|:?(?:[0-9A-Fa-f]{1,4}:){6,7}[0-9A-Fa-f.]+:?"), scan=_scan_ipv6
)
