"""The system text: replaced, or extended, where the request has it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from costlens_policy.rewrites.content import Change, Content, Message, Outcome
from costlens_policy.rewrites.errors import BAD_SHAPE, RewriteError
from costlens_policy.rewrites.shapes import body_of, is_anthropic, is_list, leading_system, text_part, with_content
from costlens_policy.rewrites.steps import Activation, Making, Merge, Step, compiles

if TYPE_CHECKING:
    from costlens_policy.documents.rewrites import SystemText

__all__ = ["SystemStep"]

_BETWEEN = "\n\n"


@dataclass(frozen=True, slots=True)
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

    def apply(self, content: Content, activation: Activation) -> Outcome:
        messages, params = content.messages, content.params
        leading = leading_system(messages) if messages is not None else 0
        in_params = params.get("system") is not None
        if in_params and not (leading and self.place == "after"):
            return self._in_params(content, leading)
        if messages is None:
            system = self._joined(content.system)
            return Content(content.prompt, None, params, system), self._on_system
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

    def _in_params(self, content: Content, leading: int) -> Outcome:
        """Change ``params["system"]``; when it replaces all system text, the leading messages go."""
        system = self._joined(content.params.get("system"), "params.system")
        messages = content.messages
        if self.place == "replace" and messages is not None:
            messages = messages[leading:]
        params = {**content.params, "system": system}
        return Content(content.prompt, messages, params, content.system), (self._change("params.system"),)

    def _in_messages(self, content: Content, leading: int) -> Outcome:
        messages = content.messages or ()
        index = leading - 1 if self.place == "after" else 0
        message = messages[index]
        changed = with_content(message, self._joined(body_of(message), f"messages[{index}].content"))
        rest = messages[leading if self.place == "replace" else index + 1 :]
        return self._with_messages(content, (*messages[:index], changed, *rest), index)

    def _with_messages(self, content: Content, messages: tuple[Message, ...], index: int) -> Outcome:
        changes = (self._change(f"messages[{index}]"),)
        return Content(content.prompt, messages, content.params, content.system), changes

    def _joined(self, present: Any, where: str = "system") -> Any:
        """Return the system text that was there together with the new one, in the shape it had."""
        if self.place == "replace" or present is None or present == "":
            return self.text
        if isinstance(present, str):
            pair = (self.text, present) if self.place == "before" else (present, self.text)
            return _BETWEEN.join(pair)
        if is_list(present):
            block = text_part(present, self.text)
            return [block, *present] if self.place == "before" else [*present, block]
        raise RewriteError(BAD_SHAPE, f"`{where}` is neither a text nor a list of parts")

    def _change(self, target: str) -> Change:
        detail = "replaced" if self.place == "replace" else f"{len(self.text)} characters put {self.place} it"
        return Change("system", target, detail)


@compiles("system")
def _system(section: SystemText, making: Making) -> tuple[Step, ...]:
    return (SystemStep(section.text, section.place),)
