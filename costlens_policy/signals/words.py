"""The words of a text, as signals compare them: in any case, letters and digits together.

Scripts that write no spaces, such as Chinese, have no such words; what is looked for there is looked for anywhere.
"""

from __future__ import annotations

import re
from typing import Final

__all__ = ["folded", "has_no_spaces", "is_one_word", "occurs", "words_of"]

_WORD: Final = re.compile(r"\w+")
_SPACES: Final = re.compile(r"\s+")
_WITHOUT_SPACES: Final = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")


def folded(text: str) -> str:
    """Return a text without the difference of cases, each run of white space as one space."""
    return _SPACES.sub(" ", text.casefold())


def words_of(text: str) -> list[str]:
    """Return the words of a folded text, in order."""
    return _WORD.findall(text)


def has_no_spaces(word: str) -> bool:
    """Return whether a word is of a script that writes no spaces, so that it may be a whole sentence."""
    return _WITHOUT_SPACES.search(word) is not None


def is_one_word(word: str) -> bool:
    """Return whether a folded word is found by itself among the words of a text."""
    return _WORD.fullmatch(word) is not None and not has_no_spaces(word)


def occurs(phrase: str, text: str) -> bool:
    """Return whether a folded phrase stands in a folded text, and not inside of longer words."""
    at = text.find(phrase)
    if at < 0 or has_no_spaces(phrase):
        return at >= 0
    while at >= 0:
        end = at + len(phrase)
        begins = at == 0 or not (_is_word(text[at - 1]) and _is_word(phrase[0]))
        ends = end == len(text) or not (_is_word(text[end]) and _is_word(phrase[-1]))
        if begins and ends:
            return True
        at = text.find(phrase, at + 1)
    return False


def _is_word(character: str) -> bool:
    return character.isalnum() or character == "_"
