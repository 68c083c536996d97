"""Text before or after the prompt, or the last user message."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from costlens_policy.rewrites.content import Change, Content, Message, Outcome
from costlens_policy.rewrites.shapes import (
    after_results,
    body_of,
    is_list,
    last_user_turn,
    text_of,
    text_part,
    with_content,
    with_text,
)
from costlens_policy.rewrites.steps import Activation, Making, Merge, Step, compiles

if TYPE_CHECKING:
    from costlens_policy.documents.rewrites import TextPiece

__all__ = ["PrefixStep", "SuffixStep"]


@dataclass(frozen=True, slots=True)
class PrefixStep:
    """Puts a text before the prompt, or before the first text of the last user message."""

    target: ClassVar = "prefix"
    text: str
    _on_prompt: tuple[Change, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_on_prompt", (_change("prefix", "prompt", self.text),))

    def apply(self, content: Content, activation: Activation) -> Outcome:
        if content.prompt is not None:
            prompt = self.text + content.prompt
            return Content(prompt, content.messages, content.params, content.system), self._on_prompt
        return _edit_turn(content, self._edit, "prefix", self.text)

    def _edit(self, message: Mapping[str, Any]) -> dict[str, Any]:
        content = body_of(message)
        if not is_list(content):
            return with_content(message, self.text + content)
        parts = list(content)
        for index, part in enumerate(parts):
            if (text := text_of(part)) is not None:
                parts[index] = with_text(part, self.text + text)
                break
        else:
            parts.insert(after_results(parts), text_part(parts, self.text))
        return with_content(message, parts)

    def merged(self, later: Step, merge: Merge) -> Step | None:
        if merge == "append" and isinstance(later, PrefixStep):
            return PrefixStep(self.text + later.text)
        return None


@dataclass(frozen=True, slots=True)
class SuffixStep:
    """Puts a text after the prompt, or after the last text of the last user message."""

    target: ClassVar = "suffix"
    text: str
    _on_prompt: tuple[Change, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_on_prompt", (_change("suffix", "prompt", self.text),))

    def apply(self, content: Content, activation: Activation) -> Outcome:
        if content.prompt is not None:
            prompt = content.prompt + self.text
            return Content(prompt, content.messages, content.params, content.system), self._on_prompt
        return _edit_turn(content, self._edit, "suffix", self.text)

    def _edit(self, message: Mapping[str, Any]) -> dict[str, Any]:
        content = body_of(message)
        if not is_list(content):
            return with_content(message, content + self.text)
        parts = list(content)
        for index in range(len(parts) - 1, -1, -1):
            if (text := text_of(parts[index])) is not None:
                parts[index] = with_text(parts[index], text + self.text)
                break
        else:
            parts.append(text_part(parts, self.text))
        return with_content(message, parts)

    def merged(self, later: Step, merge: Merge) -> Step | None:
        return None


def _edit_turn(content: Content, edit: Callable[[Message], Message], operation: str, text: str) -> Outcome:
    """Edit the last message in which a person speaks; without one there is nothing to do."""
    messages = content.messages or ()
    index = last_user_turn(messages)
    if index is None:
        return content, ()
    edited = (*messages[:index], edit(messages[index]), *messages[index + 1 :])
    return Content(None, edited, content.params, content.system), (_change(operation, f"messages[{index}]", text),)


def _change(operation: str, target: str, text: str) -> Change:
    return Change(operation, target, f"{len(text)} characters put {'before' if operation == 'prefix' else 'after'} it")


@compiles("prefix")
def _prefix(section: TextPiece, making: Making) -> tuple[Step, ...]:
    return (PrefixStep(section.text),)


@compiles("suffix")
def _suffix(section: TextPiece, making: Making) -> tuple[Step, ...]:
    return (SuffixStep(section.text),)
