"""The oldest messages dropped until a conversation fits, without parting what belongs together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, ClassVar

from costlens_policy.frozen import frozen
from costlens_policy.rewrites.content import Change, Content, Message, Rewritten, beside_messages
from costlens_policy.rewrites.shapes import (
    SYSTEM_ROLES,
    TOOL_ROLES,
    call_ids,
    is_anthropic,
    is_user_turn,
    kind_of,
    last_user_turn,
    result_ids,
    role_of,
)
from costlens_policy.rewrites.steps import Activation, Making, Merge, Step, compiles
from costlens_policy.tokens import TokenCounter, Tokenizer

if TYPE_CHECKING:
    from costlens_policy.documents.rewrites import TrimHistory

__all__ = ["TrimHistoryStep"]


@frozen
class TrimHistoryStep:
    """Drops the oldest messages until at most ``max_prompt_tokens`` are left, with the system text.

    What stays in any case: system messages, the last message in which a person speaks, and the last message. A tool
    call and its results stay or go together. In Anthropic's shape a person speaks in the first message left.
    """

    target: ClassVar = "history"
    max_prompt_tokens: int
    tokenizer: Tokenizer

    def apply(self, content: Content, activation: Activation) -> Rewritten:
        messages = content.messages
        if not messages:
            return content, ()
        tally = TokenCounter(self.tokenizer)
        sizes = [tally.message(message) for message in messages]
        total = beside_messages(content, tally) + sum(sizes)
        if total <= self.max_prompt_tokens:
            return content, ()
        exchanges = _Exchanges(messages, is_anthropic(messages, content.params))
        left = total
        dropped: set[int] = set()
        for exchange in exchanges.droppable():
            if left <= self.max_prompt_tokens and not exchanges.cannot_open(exchange):
                break
            dropped.update(exchange)
            left -= sum(sizes[index] for index in exchange)
        return self._result(content, dropped, total, left)

    def merged(self, later: Step, merge: Merge) -> Step | None:
        if merge in ("min", "max") and isinstance(later, TrimHistoryStep):
            return min(self, later, key=_limit) if merge == "min" else max(self, later, key=_limit)
        return None

    def _result(self, content: Content, dropped: set[int], total: int, left: int) -> Rewritten:
        count = f"{len(dropped)} of {len(content.messages or ())} messages dropped"
        detail = f"{count}, {total} tokens before, {left} after"
        if left > self.max_prompt_tokens:
            detail += f", still above {self.max_prompt_tokens} because the rest must stay"
        change = Change("trim_history", "messages", detail)
        if not dropped:
            return content, (change,)
        kept = tuple(message for index, message in enumerate(content.messages or ()) if index not in dropped)
        return Content(content.prompt, kept, content.params, content.system, content.tools), (change,)


def _limit(step: TrimHistoryStep) -> int:
    return step.max_prompt_tokens


@compiles("trim_history")
def _trim_history(section: TrimHistory, making: Making) -> tuple[Step, ...]:
    return (TrimHistoryStep(section.max_prompt_tokens, making.tokenizer),)


class _Exchanges:
    """A conversation in exchanges: a message by itself, or one that calls tools with all that answers it.

    Pinned are system messages, the last one in which a person speaks, the last one of all others, and what belongs to
    them. With ``opened_by_user``, a person has to speak in the first message left, so the nearest such one is pinned.
    """

    def __init__(self, messages: Sequence[Message], opened_by_user: bool) -> None:
        self._messages = messages
        self._opened_by_user = opened_by_user
        self._groups = _group(messages)
        system = {index for index, message in enumerate(messages) if role_of(message) in SYSTEM_ROLES}
        last = max(set(range(len(messages))) - system, default=None)
        kept = {*system, last, last_user_turn(messages)}
        self._pinned = [group for group in self._groups if not kept.isdisjoint(group)]
        self._first_pinned = min({index for group in self._pinned for index in group} - system, default=0)
        if opened_by_user and not self._opens(self._first_pinned):
            self._pin_opening()

    def droppable(self) -> Iterator[list[int]]:
        """Yield the indices of each exchange that may go, oldest first."""
        pinned = {group[0] for group in self._pinned}
        return (group for group in self._groups if group[0] not in pinned)

    def cannot_open(self, exchange: list[int]) -> bool:
        """Return whether an exchange, all droppable ones before it gone, would open the conversation and may not."""
        return self._opened_by_user and exchange[0] < self._first_pinned and not self._opens(exchange[0])

    def _pin_opening(self) -> None:
        for group in reversed(self._groups):
            if group[0] < self._first_pinned and self._opens(group[0]):
                self._pinned.append(group)
                self._first_pinned = group[0]
                return

    def _opens(self, index: int) -> bool:
        message = self._messages[index]
        return is_user_turn(message) and not result_ids(message)


def _group(messages: Sequence[Message]) -> list[list[int]]:
    """Return the indices of the messages that belong together, by their first one."""
    roots = list(range(len(messages)))

    def root(index: int) -> int:
        while roots[index] != index:
            roots[index] = index = roots[roots[index]]
        return index

    callers: dict[str, int] = {}
    for index, message in enumerate(messages):
        answered = result_ids(message)
        known = [callers[item] for item in answered if item in callers]
        if not known and index and (answered or role_of(message) in TOOL_ROLES):
            # It names no call that came before: it stays with what it follows.
            known = [index - 1] if role_of(messages[index - 1]) not in SYSTEM_ROLES else []
        for caller in known:
            roots[root(index)] = root(caller)
        if index and kind_of(messages[index - 1]) == "reasoning":
            roots[root(index)] = root(index - 1)  # OpenAI refuses reasoning without what followed from it
        callers.update((item, index) for item in call_ids(message))
    groups: dict[int, list[int]] = {}
    for index in range(len(messages)):
        groups.setdefault(root(index), []).append(index)
    return sorted(groups.values())
