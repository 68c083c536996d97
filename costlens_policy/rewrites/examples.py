"""Few-shot examples, cut out of texts and conversations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Final

from costlens_policy.frozen import frozen
from costlens_policy.rewrites.content import Change, Content, Message, Rewritten
from costlens_policy.rewrites.shapes import body_of, is_list, last_user_turn, text_of, with_content
from costlens_policy.rewrites.steps import Activation, Making, Merge, Step, compiles
from costlens_policy.rewrites.texts import TextMapping

if TYPE_CHECKING:
    from costlens_policy.documents.rewrites import DropExamples

__all__ = ["DropExamplesStep"]

_ROLES: Final = frozenset({"system", "user"})
_NAMES: Final = frozenset({"example_user", "example_assistant"})


@frozen
class DropExamplesStep:
    """Cuts examples out, except the first ``keep``.

    An example is a text from ``begin`` to the next ``end``, or messages that are named ``example_user`` and
    ``example_assistant``. Those by name are counted first.
    """

    target: ClassVar = "examples"
    keep: int
    begin: str
    end: str

    def apply(self, content: Content, activation: Activation) -> Rewritten:
        changes: list[Change] = []
        named, left = content, self.keep
        if content.messages is not None:
            messages, dropped, left = _without_named(content.messages, self.keep)
            if dropped:
                changes.append(Change("drop_examples", "messages", f"{dropped} messages of examples removed"))
                named = Content(content.prompt, messages, content.params, content.system, content.tools)
        cutter = _Cutter(self.begin, self.end, left)

        def note(where: str) -> None:
            changes.append(Change("drop_examples", where, f"{cutter.taken()} examples removed"))

        cut = TextMapping(cutter.cut, note, _ROLES).apply(named)
        return _without_empty(named, cut), tuple(changes)

    def merged(self, later: Step, merge: Merge) -> Step | None:
        if merge in ("min", "max") and isinstance(later, DropExamplesStep):
            if (self.begin, self.end) != (later.begin, later.end):
                return None
            keep = min(self.keep, later.keep) if merge == "min" else max(self.keep, later.keep)
            return DropExamplesStep(keep, self.begin, self.end)
        return None


class _Cutter:
    """Cuts examples out of one text after the other; the first ``left`` of all of them stay."""

    def __init__(self, begin: str, end: str, left: int) -> None:
        self._begin = begin
        self._end = end
        self._left = left
        self._cut = 0

    def taken(self) -> int:
        """Return how many examples were cut since the last call."""
        cut, self._cut = self._cut, 0
        return cut

    def cut(self, text: str) -> str:
        """Return the text without its examples and without the blank lines that they would leave behind."""
        if self._begin not in text:
            return text
        rests = self._rests(text)
        if len(rests) == 1:
            return text
        pieces = [rests[0]]
        for rest in rests[1:]:
            pieces += _joined(pieces.pop(), rest)
        cut = "".join(pieces)
        if not rests[0].strip():
            cut = cut.lstrip()
        if rests[-1].strip():
            return cut
        return cut.rstrip() + ("\n" if text.endswith("\n") else "")

    def _rests(self, text: str) -> list[str]:
        """Return what is left between the examples that are cut; one without an end is none."""
        rests: list[str] = []
        rest = 0
        start = text.find(self._begin)
        while start >= 0:
            end = text.find(self._end, start + len(self._begin))
            if end < 0:
                break
            end += len(self._end)
            if self._left:
                self._left -= 1
            else:
                self._cut += 1
                rests.append(text[rest:start])
                rest = end
            start = text.find(self._begin, end)
        return [*rests, text[rest:]]


def _joined(left: str, right: str) -> tuple[str, str]:
    """Return two texts with the space between them tidied: one blank line at most, none where none was."""
    body, tail = left.rstrip(), right.lstrip()
    before, after = left[len(body) :], right[: len(right) - len(tail)]
    lines = min(2, max(before.count("\n"), after.count("\n")))
    if not lines:
        return body, (before or after) + tail
    indent = after.rpartition("\n")[2] if "\n" in after else ""
    return body, "\n" * lines + indent + tail


def _without_named(messages: Sequence[Message], keep: int) -> tuple[tuple[Message, ...], int, int]:
    """Return the messages without named examples beyond ``keep``, how many went, and how many may still stay."""
    kept: list[Message] = []
    examples = 0
    previous = ""
    for message in messages:
        name = message.get("name") if isinstance(message, Mapping) else None
        if name == "example_user" or (name == "example_assistant" and previous not in _NAMES):
            examples += 1
        previous = name if isinstance(name, str) else ""
        if previous not in _NAMES or examples <= keep:
            kept.append(message)
    return tuple(kept), len(messages) - len(kept), max(0, keep - examples)


def _without_empty(before: Content, after: Content) -> Content:
    """Drop what held nothing but examples: providers refuse empty texts. The last user message stays."""
    old, new = before.messages, after.messages
    if old is None or new is None or old is new:
        return after
    last = last_user_turn(old)
    kept: list[Message] = []
    for index, (was, message) in enumerate(zip(old, new, strict=True)):
        tidied = message if message is was else _without_empty_parts(message)
        if tidied is message or index == last or body_of(tidied):
            kept.append(tidied)
    return Content(after.prompt, tuple(kept), after.params, after.system, after.tools)


def _without_empty_parts(message: Message) -> Message:
    content = body_of(message)
    if is_list(content):
        return with_content(message, [part for part in content if text_of(part) != ""])
    return message if content else with_content(message, content)


@compiles("drop_examples")
def _drop_examples(section: DropExamples, making: Making) -> tuple[Step, ...]:
    return (DropExamplesStep(section.keep, section.begin, section.end),)
