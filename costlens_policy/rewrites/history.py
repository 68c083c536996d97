"""The oldest messages dropped until a conversation fits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from costlens_policy.rewrites.content import Change, Content, Outcome
from costlens_policy.rewrites.exchanges import Exchanges
from costlens_policy.rewrites.measure import beside_messages
from costlens_policy.rewrites.shapes import is_anthropic
from costlens_policy.rewrites.steps import Activation, Making, Merge, Step, compiles
from costlens_policy.tokens import Tally, Tokenizer

if TYPE_CHECKING:
    from costlens_policy.documents.rewrites import TrimHistory

__all__ = ["TrimHistoryStep"]


@dataclass(frozen=True, slots=True)
class TrimHistoryStep:
    """Drops the oldest messages until at most ``max_prompt_tokens`` are left, with the system text.

    What stays in any case: system messages, the last message in which a person speaks, and the last message. A tool
    call and its results stay or go together. In Anthropic's shape a person speaks in the first message left.
    """

    target: ClassVar = "history"
    max_prompt_tokens: int
    tokenizer: Tokenizer

    def apply(self, content: Content, activation: Activation) -> Outcome:
        messages = content.messages
        if not messages:
            return content, ()
        tally = Tally(self.tokenizer)
        sizes = [tally.message(message) for message in messages]
        total = beside_messages(content, tally) + sum(sizes)
        if total <= self.max_prompt_tokens:
            return content, ()
        exchanges = Exchanges(messages, is_anthropic(messages, content.params))
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

    def _result(self, content: Content, dropped: set[int], total: int, left: int) -> Outcome:
        count = f"{len(dropped)} of {len(content.messages or ())} messages dropped"
        detail = f"{count}, {total} tokens before, {left} after"
        if left > self.max_prompt_tokens:
            detail += f", still above {self.max_prompt_tokens} because the rest has to stay"
        change = Change("trim_history", "messages", detail)
        if not dropped:
            return content, (change,)
        kept = tuple(message for index, message in enumerate(content.messages or ()) if index not in dropped)
        return Content(content.prompt, kept, content.params, content.system), (change,)


def _limit(step: TrimHistoryStep) -> int:
    return step.max_prompt_tokens


@compiles("trim_history")
def _trim_history(section: TrimHistory, making: Making) -> tuple[Step, ...]:
    return (TrimHistoryStep(section.max_prompt_tokens, making.tokenizer),)
