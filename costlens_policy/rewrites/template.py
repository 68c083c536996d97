"""Texts with placeholders, such as ``{{ prompt }}``, and the prompt or the last user message put into one.

A template is read once and filled in often. What is filled in is never read as a template again. Braces that are not
closed are text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final, NamedTuple

from costlens_policy.frozen import frozen
from costlens_policy.rewrites.content import NOT_A_TEXT, Change, Content, RewriteError, Rewritten
from costlens_policy.rewrites.shapes import (
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
    from costlens_policy.documents.rewrites import Template

__all__ = ["ParsedTemplate", "Placeholder", "TemplateStep", "parse_template", "placeholders"]

_PLACEHOLDER: Final = re.compile(r"\{\{([^{}]*)\}\}")


class Placeholder(NamedTuple):
    """A placeholder and where it stands. ``name`` is what is between the braces, without the spaces around it."""

    name: str
    start: int
    end: int


def placeholders(text: str) -> list[Placeholder]:
    """Return every placeholder of a text in order. Whether its name is a known one is for the caller to say."""
    return [Placeholder(match[1].strip(), match.start(), match.end()) for match in _PLACEHOLDER.finditer(text)]


@frozen
class ParsedTemplate:
    """A template: ``literals[0]``, the value of ``names[0]``, ``literals[1]`` and so on."""

    literals: tuple[str, ...]
    names: tuple[str, ...]

    def only(self, names: Collection[str]) -> ParsedTemplate:
        """Return the template itself. Raises ``ValueError`` for a placeholder that is not among the names."""
        unknown = [name for name in self.names if name not in names]
        if unknown:
            raise ValueError(f"unknown placeholder `{unknown[0]}`")
        return self

    def render(self, values: Mapping[str, str]) -> str:
        """Return the text with every placeholder filled in. Raises ``KeyError`` for a name without a value."""
        pieces = [self.literals[0]]
        for name, literal in zip(self.names, self.literals[1:], strict=True):
            pieces += (values[name], literal)
        return "".join(pieces)


def parse_template(text: str) -> ParsedTemplate:
    """Return the text split at its placeholders."""
    found = placeholders(text)
    starts = [0, *(item.end for item in found)]
    ends = [*(item.start for item in found), len(text)]
    literals = tuple(text[start:end] for start, end in zip(starts, ends, strict=True))
    return ParsedTemplate(literals, tuple(item.name for item in found))


@frozen
class TemplateStep:
    """Replaces the prompt, or all text of the last user message, which ``prompt`` stands for in the template."""

    target: ClassVar = "prompt"
    template: ParsedTemplate
    values: tuple[tuple[str, Callable[..., Any]], ...]

    def apply(self, content: Content, activation: Activation) -> Rewritten:
        if content.prompt is not None:
            prompt = self._render(content.prompt, activation)
            return Content(prompt, content.messages, content.params, content.system, content.tools), (
                _change("prompt"),
            )
        messages = content.messages or ()
        index = last_user_turn(messages)
        if index is None:
            return content, ()
        changed = self._turn(messages[index], activation)
        rewritten = (*messages[:index], changed, *messages[index + 1 :])
        return Content(None, rewritten, content.params, content.system, content.tools), (_change(f"messages[{index}]"),)

    def merged(self, later: Step, merge: Merge) -> Step | None:
        return None

    def _turn(self, message: Mapping[str, Any], activation: Activation) -> dict[str, Any]:
        content = body_of(message)
        if not is_list(content):
            return with_content(message, self._render(content, activation))
        texts = [text for part in content if (text := text_of(part)) is not None]
        rendered = self._render("\n".join(texts), activation)
        parts: list[Any] = []
        placed = False
        for part in content:
            if text_of(part) is None:
                parts.append(part)
            elif not placed:
                parts.append(with_text(part, rendered))
                placed = True
        return with_content(message, parts if placed else [*parts, text_part(parts, rendered)])

    def _render(self, prompt: str, activation: Activation) -> str:
        values: dict[str, str] = {}
        for name, evaluate in self.values:
            value = evaluate(*activation)
            if not isinstance(value, str):
                raise RewriteError(NOT_A_TEXT, f"the template value `{name}` must be a string")
            values[name] = value
        values["prompt"] = prompt
        return self.template.render(values)


def _change(target: str) -> Change:
    return Change("template", target, "inserted into a template")


@compiles("template")
def _template(section: Template, making: Making) -> tuple[Step, ...]:
    template = parse_template(section.text).only({"prompt", *making.values})
    values = ((name, value) for name, value in making.values.items() if name in template.names)
    return (TemplateStep(template, tuple(values)),)
