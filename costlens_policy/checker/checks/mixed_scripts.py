"""CL420: a word with letters of several scripts, which looks like another word."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import Final

from costlens_policy.checker.checks.subject import Finding, Place, Subject
from costlens_policy.checker.reads import nodes_of
from costlens_policy.diagnostics.model import Diagnostic
from costlens_policy.expressions.tree import Literal

__all__ = ["check_mixed_scripts"]

_FOUND: Final = Finding("CL420")
_WORD: Final = re.compile(r"[^\W\d_]+")
_ALIKE: Final = frozenset({"LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE", "COPTIC"})


def check_mixed_scripts(subject: Subject) -> Iterator[Diagnostic]:
    """Warn about words in texts that expressions compare with, and in declared values, whose letters mix scripts."""
    for document in subject.documents():
        for path, typed in subject.expressions[document].items():
            for node in nodes_of(typed.root):
                if isinstance(node, Literal) and isinstance(node.value, str):
                    place = Place(document, path)
                    for message, label in _mixed(node.value):
                        yield _FOUND.warning(message, place.part(node.extent), label, _ADVICE)
    for name, attribute in subject.bundle.policy_set.document.attributes.items():
        for index, value in enumerate(attribute.values):
            place = Place(subject.bundle.policy_set, ("attributes", name, "values", index))
            for message, label in _mixed(value):
                yield _FOUND.warning(message, place.span, label, _ADVICE)


_ADVICE: Final = "retype the word in one script; letters that look alike are not equal"


def _mixed(text: str) -> Iterator[tuple[str, str]]:
    if text.isascii():
        return
    for word in _WORD.findall(text):
        scripts = {script: letter for letter in word if (script := _script(letter)) in _ALIKE}
        if len(scripts) > 1:
            odd = next((letter for script, letter in scripts.items() if script != "LATIN"), word[0])
            names = " and ".join(script.capitalize() for script in sorted(scripts))
            yield f"the word `{word}` mixes {names} letters", f"`{odd}` is {unicodedata.name(odd).capitalize()}"


def _script(letter: str) -> str:
    return unicodedata.name(letter, "").partition(" ")[0]
