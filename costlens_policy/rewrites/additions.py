"""Text that is added: to the system text, which it may replace, and before or after the prompt or the last message."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from costlens_policy.frozen import frozen
from costlens_policy.rewrites.content import BAD_SHAPE, Change, Content, Message, RewriteError, Rewritten
from costlens_policy.rewrites.shapes import (
    after_results,
    body_of,
    is_anthropic,
    is_list,
    last_user_turn,
    leading_system,
    text_of,
    text_part,
    with_content,
    with_text,
)
from costlens_policy.rewrites.steps import Activation, Making, Merge, Step, compiles

if TYPE_CHECKING:
    from costlens_policy.documents.rewrites import Prefix, Suffix, SystemText

__all__ = ["PrefixStep", "SuffixStep", "SystemStep"]

_BETWEEN = "\n\n"


@frozen
class SystemStep:
    """Sets or extends the system text.

    It stands in ``params["system"]``, else in the leading system messages, else, for a prompt, in ``Content.system``.
    Where a conversation has none yet, it becomes ``params["system"]`` in Anthropic's shape and the first message in
    every other. ``before`` goes before the first system text there is, ``after`` behind the last one.
    """

    target: ClassVar = "system"
    text: str
    place: Literal["replace", "before", "after"]
    _on_system: tuple[Change, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_on_system", (self._change("system"),))

    def apply(self, content: Content, activation: Activation) -> Rewritten:
        messages, params = content.messages, content.params
        leading = leading_system(messages) if messages is not None else 0
        in_params = params.get("system") is not None
        if in_params and not (leading and self.place == "after"):
            return self._in_params(content, leading)
        if messages is None:
            system = self._joined(content.system)
            return Content(content.prompt, None, params, system, content.tools), self._on_system
        if leading:
            return self._in_messages(content, leading)
        if is_anthropic(messages, params):
            return self._in_params(content, 0)
        first = {"role": "system", "content": self.text}
        return self._with_messages(content, (first, *messages), 0)

    def merged(self, later: Step, merge: Merge) -> Step | None:
        if merge == "append" and isinstance(later, SystemStep) and later.place == self.place:
            return SystemStep(self.text + _BETWEEN + later.text, self.place)
        return None

    def _in_params(self, content: Content, leading: int) -> Rewritten:
        """Change ``params["system"]``; when it replaces all system text, the leading messages go."""
        system = self._joined(content.params.get("system"), "params.system")
        messages = content.messages
        if self.place == "replace" and messages is not None:
            messages = messages[leading:]
        params = {**content.params, "system": system}
        return Content(content.prompt, messages, params, content.system, content.tools), (
            self._change("params.system"),
        )

    def _in_messages(self, content: Content, leading: int) -> Rewritten:
        messages = content.messages or ()
        index = leading - 1 if self.place == "after" else 0
        message = messages[index]
        changed = with_content(message, self._joined(body_of(message), f"messages[{index}].content"))
        rest = messages[leading if self.place == "replace" else index + 1 :]
        return self._with_messages(content, (*messages[:index], changed, *rest), index)

    def _with_messages(self, content: Content, messages: tuple[Message, ...], index: int) -> Rewritten:
        changes = (self._change(f"messages[{index}]"),)
        return Content(content.prompt, messages, content.params, content.system, content.tools), changes

    def _joined(self, current: Any, where: str = "system") -> Any:
        """Return the system text that was there together with the new one, in the shape it had."""
        if self.place == "replace" or current is None or current == "":
            return self.text
        if isinstance(current, str):
            pair = (self.text, current) if self.place == "before" else (current, self.text)
            return _BETWEEN.join(pair)
        if is_list(current):
            block = text_part(current, self.text)
            return [block, *current] if self.place == "before" else [*current, block]
        raise RewriteError(BAD_SHAPE, f"`{where}` must be a string or a list of parts")

    def _change(self, target: str) -> Change:
        detail = "replaced" if self.place == "replace" else f"{len(self.text)} characters added {self.place} it"
        return Change("system", target, detail)


@compiles("system")
def _system(section: SystemText, making: Making) -> tuple[Step, ...]:
    return (SystemStep(section.text, section.place),)


@frozen
class PrefixStep:
    """Puts a text before the prompt, or before the first text of the last user message."""

    target: ClassVar = "prefix"
    text: str
    _on_prompt: tuple[Change, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_on_prompt", (_change("prefix", "prompt", self.text),))

    def apply(self, content: Content, activation: Activation) -> Rewritten:
        if content.prompt is not None:
            prompt = self.text + content.prompt
            return Content(prompt, content.messages, content.params, content.system, content.tools), self._on_prompt
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


@frozen
class SuffixStep:
    """Puts a text after the prompt, or after the last text of the last user message."""

    target: ClassVar = "suffix"
    text: str
    _on_prompt: tuple[Change, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_on_prompt", (_change("suffix", "prompt", self.text),))

    def apply(self, content: Content, activation: Activation) -> Rewritten:
        if content.prompt is not None:
            prompt = content.prompt + self.text
            return Content(prompt, content.messages, content.params, content.system, content.tools), self._on_prompt
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


def _edit_turn(content: Content, edit: Callable[[Message], Message], operation: str, text: str) -> Rewritten:
    """Edit the last message in which a person speaks; without one there is nothing to do."""
    messages = content.messages or ()
    index = last_user_turn(messages)
    if index is None:
        return content, ()
    edited = (*messages[:index], edit(messages[index]), *messages[index + 1 :])
    return Content(None, edited, content.params, content.system, content.tools), (
        _change(operation, f"messages[{index}]", text),
    )


def _change(operation: str, target: str, text: str) -> Change:
    return Change(
        operation, target, f"{len(text)} characters added {'before' if operation == 'prefix' else 'after'} it"
    )


@compiles("prefix")
def _prefix(section: Prefix, making: Making) -> tuple[Step, ...]:
    return (PrefixStep(section.text),)


@compiles("suffix")
def _suffix(section: Suffix, making: Making) -> tuple[Step, ...]:
    return (SuffixStep(section.text),)
