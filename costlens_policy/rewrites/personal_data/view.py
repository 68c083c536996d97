"""A text as detectors read it: compatible forms made plain, what cannot be seen left out, escapes resolved.

What people read as an address has many spellings that a pattern does not know: full-width letters, a soft hyphen, a
no-break space between the groups of a card number, ``%40`` in a URL, ``\\u0040`` in JSON. The view spells all of them
alike, and knows for each of its characters where it came from.
"""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Iterable
from typing import Final

from costlens_policy.rewrites.personal_data.detector import Extent

__all__ = ["View", "blanked", "in_characters"]

_ESCAPES: Final = re.compile(r'\\[nrt"/\\]')
_SPELLED: Final = re.compile(
    r'\\(?:u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|[nrt"/\\])|%(?:25){0,3}[0-9a-fA-F]{2}'
    r"|&(?:amp;){0,3}(?:#[0-9]{1,7};?|#[xX][0-9a-fA-F]{1,6};|(?:commat|period|nbsp|shy|zwnj|zwj|NewLine|ZeroWidthSpace);)"
)
_NAMED: Final = {
    "commat": "@",
    "period": ".",
    "nbsp": " ",
    "shy": "",
    "zwnj": "",
    "zwj": "",
    "NewLine": "\n",
    "ZeroWidthSpace": "",
}
_USUAL: Final = bytes(range(0x20, 0x7F)) + b"\t\n\v\f\r"
_INVISIBLE: Final = frozenset({"Cc", "Cf", "Cs", "Mn", "Me"})
"""Categories that leave no trace of their own: controls, format characters, lone surrogates, combining marks."""
_FILLERS: Final = frozenset(
    "\u115f\u1160\u3164\uffa0\u2800\u2065\ufff0\ufff1\ufff2\ufff3\ufff4\ufff5\ufff6\ufff7\ufff8"
)
_STOPS: Final = frozenset("\u3002\uff61\ufe52")
"""Full stops that domain names may be written with."""
_MOST_KNOWN: Final = 20_000


class _Plain(dict[int, str]):
    """How each character is spelled in a view; found out when first met, for ``str.translate``."""

    def __missing__(self, code: int) -> str:
        spelled = self._spelled(chr(code))
        if len(self) < _MOST_KNOWN:
            self[code] = spelled
        return spelled

    def _spelled(self, character: str) -> str:
        if character in "\t\n\v\f\r":
            return character
        category = unicodedata.category(character)
        if category in _INVISIBLE or character in _FILLERS or 0xE0000 <= ord(character) <= 0xE0FFF:
            return ""
        if category == "Nd":
            return str(unicodedata.decimal(character))
        if category == "Zs":
            return " "
        if category == "Pd" or character == "\u2212":
            return "-"
        if character in _STOPS:
            return "."
        form = unicodedata.normalize("NFKC", character)
        return form if form == character else "".join(one if one == character else self[ord(one)] for one in form)


_PLAIN: Final = _Plain()


def blanked(text: str) -> str:
    """Return a text of the same length in which the escapes of JSON are spaces.

    Inside JSON, ``\\n`` is a line end, and its letter does not belong to the word that follows.
    """
    return _ESCAPES.sub("  ", text) if "\\" in text else text


class View:
    """The view of one text. ``data`` is it in UTF-8, and None where it would be the text, blanked, itself."""

    __slots__ = ("_characters", "_spelled", "_text", "data")

    def __init__(self, text: str) -> None:
        self._text = text
        self._characters = text
        if not text.isascii() or text.encode().translate(None, _USUAL):
            self._characters = text.translate(_PLAIN)
        self._spelled = ""
        spelled = self._characters
        if "%" in spelled or "&" in spelled or "\\u" in spelled or "\\x" in spelled:
            spelled = _SPELLED.sub(_resolved, spelled)
        elif "\\" in spelled:
            spelled = blanked(spelled)
        self._spelled = spelled
        same = spelled is text or spelled == blanked(text)
        self.data = None if same else spelled.encode("utf-8")

    def places(self, extents: Iterable[Extent]) -> list[Extent]:
        """Return where extents of ``data``, from left to right, stand in the text, in characters."""
        assert self.data is not None, "only what differs from the text has places of its own"
        origins = self._origins()
        return [(origins[start][0], origins[end - 1][1]) for start, end in in_characters(self.data, extents)]

    def _origins(self) -> list[Extent]:
        """Return the extent of the text that each character of the view came from."""
        if self._characters == self._text:
            origins = list(itertools.pairwise(range(len(self._text) + 1)))
        else:
            lengths = [len(_PLAIN[ord(character)]) for character in self._text]
            repeated = map(itertools.repeat, itertools.pairwise(range(len(lengths) + 1)), lengths)
            origins = list(itertools.chain.from_iterable(repeated))
        if self._spelled == self._characters:
            return origins
        result: list[Extent] = []
        end = 0
        for escape in _SPELLED.finditer(self._characters):
            result += origins[end : escape.start()]
            end = escape.end()
            result += itertools.repeat((origins[escape.start()][0], origins[end - 1][1]), len(_resolved(escape)))
        return [*result, *origins[end:]]


def in_characters(data: bytes, extents: Iterable[Extent]) -> list[Extent]:
    """Return extents of UTF-8, from left to right, counted in characters."""
    if data.isascii():
        return list(extents)
    found: list[Extent] = []
    at = characters = 0
    for start, end in extents:
        first = characters + len(data[at:start].decode("utf-8", "surrogatepass"))
        last = first + len(data[start:end].decode("utf-8", "surrogatepass"))
        found.append((first, last))
        at, characters = end, last
    return found


def _resolved(escape: re.Match[str]) -> str:
    """Return what an escape stands for, spelled plainly."""
    text = escape[0]
    if text[0] == "\\":
        return _PLAIN[int(text[2:], 16)] if text[1] in "ux" else "  "
    if text[0] == "%":
        code = int(text[-2:], 16)  # whatever was encoded again stands before it, as in `%2540`
        return chr(code) if 0x20 <= code < 0x7F else text
    name = text[1:].replace("amp;", "").removesuffix(";")
    if name in _NAMED:
        return _NAMED[name]
    code = int(name[2:], 16) if name[1] in "xX" else int(name[1:])
    return _PLAIN[code] if code <= 0x10FFFF else text
