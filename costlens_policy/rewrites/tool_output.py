"""The middle cut out of long tool results."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Final

from costlens_policy.frozen import frozen
from costlens_policy.rewrites.content import BAD_SHAPE, Change, Content, Message, RewriteError, Rewritten
from costlens_policy.rewrites.shapes import (
    TOOL_ROLES,
    body_of,
    is_list,
    is_result,
    kind_of,
    role_of,
    with_content,
)
from costlens_policy.rewrites.steps import Activation, Making, Merge, Step, compiles
from costlens_policy.rewrites.template import ParsedTemplate, parse_template
from costlens_policy.tokens import Tokenizer
from costlens_policy.tokens.places import KEY_KINDS, KeyKind, media_kind

if TYPE_CHECKING:
    from costlens_policy.documents.rewrites import ShortenToolOutput

__all__ = ["ShortenToolOutputStep"]


_DATA: Final = frozenset({"json", "response"})
"""Keys of a tool's own JSON: Bedrock and Gemini."""
_TYPED_TEXTS: Final = frozenset({"text", "content", "output", "stdout", "stderr", "logs", "json"})
"""Keys of the texts of a part that has a type."""
_NO_TEXTS: Final = frozenset({KeyKind.MARK, KeyKind.MEDIA, KeyKind.SEALED})


@frozen
class ShortenToolOutputStep:
    """Keeps the start and the end of each tool result, and a marker between them: together ``max_tokens``.

    A result with at most ``above`` tokens stays, and so does one that the marker would only make longer. A result in
    several texts keeps of each its share.
    """

    target: ClassVar = "tool_output"
    max_tokens: int
    above: int
    marker: ParsedTemplate
    tokenizer: Tokenizer

    def apply(self, content: Content, activation: Activation) -> Rewritten:
        if not content.messages:
            return content, ()
        changes: list[Change] = []
        try:
            messages = tuple(self._message(message, index, changes) for index, message in enumerate(content.messages))
        except RecursionError:
            raise RewriteError(BAD_SHAPE, "the messages are nested too deeply") from None
        if not changes:
            return content, ()
        return Content(content.prompt, messages, content.params, content.system, content.tools), tuple(changes)

    def merged(self, later: Step, merge: Merge) -> Step | None:
        if merge in ("min", "max") and isinstance(later, ShortenToolOutputStep):
            return min(self, later, key=_limit) if merge == "min" else max(self, later, key=_limit)
        return None

    def _message(self, message: Message, index: int, changes: list[Change]) -> Message:
        if not isinstance(message, Mapping):
            return message
        if isinstance(message.get("output"), str) or kind_of(message).endswith("_output"):
            old = message.get("output")  # an item of OpenAI's Responses API
            new = self._shortened(old)
        else:
            old = body_of(message)
            new = self._shortened(old) if role_of(message) in TOOL_ROLES else self._blocks(old)
        if new is old:
            return message
        before, after = self._tokens(old), self._tokens(new)
        changes.append(Change("shorten_tool_output", f"messages[{index}]", f"{before} tokens before, {after} after"))
        return (
            {**message, "output": new}
            if "output" in message and old is message["output"]
            else with_content(message, new)
        )

    def _blocks(self, content: Any) -> Any:
        """Shorten the tool results among the blocks of a message (Anthropic)."""
        if not is_list(content):
            return content
        blocks = [self._block(block) if is_result(block) else block for block in content]
        return content if _same(blocks, content) else blocks

    def _block(self, block: Mapping[str, Any]) -> Mapping[str, Any]:
        """Shorten what a block of Anthropic's or Bedrock's (``content``) or of Gemini's (``response``) holds."""
        updates: dict[str, Any] = {}
        for key, old in block.items():
            if key in ("content", "response"):
                new = self._shortened(old)
            elif isinstance(old, Mapping) and is_result({key: old}):
                new = self._block(old)
            else:
                continue
            if new is not old:
                updates[key] = new
        return {**block, **updates} if updates else block

    def _shortened(self, result: Any) -> Any:
        if isinstance(result, str):
            return result if self.tokenizer.count(result) <= self.above else self._cut(result, self.max_tokens)
        total = self._tokens(result)
        if total <= self.above:
            return result
        return _mapped(result, lambda text: self._cut(text, self.max_tokens * self.tokenizer.count(text) // total))

    def _tokens(self, result: Any) -> int:
        """Return the tokens of the texts of a result, or of all results in a message."""
        if is_list(result) and any(map(is_result, result)):
            return sum(self._tokens(_inner(part) if is_result(part) else part) for part in result)
        texts: list[str] = []

        def noted(text: str) -> str:
            texts.append(text)
            return text

        _mapped(result, noted)
        return sum(map(self.tokenizer.count, texts))

    def _cut(self, text: str, allowed: int) -> str:
        """Return the text itself where it fits, else its start and its end with the marker between."""
        total = self.tokenizer.count(text)
        if total <= allowed:
            return text
        kept = allowed - self.tokenizer.count(self._mark(total))
        shortened = self._joined(text, total, kept)
        while kept > 0 and (excess := self.tokenizer.count(shortened) - allowed) > 0:
            kept -= excess  # tokens may split where the pieces meet
            shortened = self._joined(text, total, kept)
        return shortened if len(shortened) < len(text) else text

    def _joined(self, text: str, total: int, kept: int) -> str:
        """Return the start and the end of a text, with at most ``kept`` tokens together, and the marker between."""
        kept = max(0, kept)
        start = self._fitting(text, kept - kept // 2)
        end = self._fitting(text, kept // 2, from_end=True)
        head, tail = text[:start], text[len(text) - end :]
        cut = total - self.tokenizer.count(head) - self.tokenizer.count(tail)
        return head + self._mark(cut) + tail

    def _mark(self, tokens: int) -> str:
        return self.marker.render({"tokens": str(tokens)})

    def _fitting(self, text: str, tokens: int, from_end: bool = False) -> int:
        """Return how many characters at the start, or the end, have at most so many tokens."""
        count = self.tokenizer.count

        def fits(length: int) -> bool:
            return count(text[len(text) - length :] if from_end else text[:length]) <= tokens

        low, high = 0, min(len(text), 4 * tokens + 1)
        while high < len(text) and fits(high):
            low, high = high, min(len(text), 2 * high)
        while low < high - 1:
            middle = (low + high) // 2
            low, high = (middle, high) if fits(middle) else (low, middle)
        return low


def _mapped(value: Any, change: Callable[[str], str], *, data: bool = False) -> Any:
    """Return what a tool gave with its texts changed, the object itself where none is.

    Ids, media and what only the provider reads stay, of parts with a type all but their texts; in ``data`` of the
    tool's own, JSON, any text may be long.
    """
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        new = {
            key: _mapped(item, change, data=data or key in _DATA) if data or _holds_text(value, key) else item
            for key, item in value.items()
        }
        return new if any(new[key] is not item for key, item in value.items()) else value
    if is_list(value):
        items = [_mapped(item, change, data=data) for item in value]
        return value if _same(items, value) else items
    return value


def _holds_text(part: Mapping[str, Any], key: str) -> bool:
    if kind_of(part):
        return key in _TYPED_TEXTS and media_kind(part) is None
    return KEY_KINDS.get(key) not in _NO_TEXTS


def _inner(block: Mapping[str, Any]) -> Any:
    """Return what a block with a result holds."""
    for key, value in block.items():
        if isinstance(value, Mapping) and is_result({key: value}):
            return _inner(value)
    return block.get("content", block.get("response"))


def _same(new: Sequence[Any], old: Sequence[Any]) -> bool:
    return all(one is other for one, other in zip(new, old, strict=True))


def _limit(step: ShortenToolOutputStep) -> int:
    return step.max_tokens


@compiles("shorten_tool_output")
def _shorten_tool_output(section: ShortenToolOutput, making: Making) -> tuple[Step, ...]:
    marker = parse_template(section.marker).only({"tokens"})
    above = section.max_tokens if section.above_tokens is None else section.above_tokens
    return (ShortenToolOutputStep(section.max_tokens, above, marker, making.tokenizer),)
