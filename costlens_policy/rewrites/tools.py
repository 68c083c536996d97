"""Tools taken out of a request, and with them whatever makes the model call one that is gone.

Each provider writes a tool in its own shape. A tool whose name cannot be read, or a set of tools that does not list
them, fails the rewrite, unless the whole of it goes: nothing that might be a removed tool is passed on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Final

from costlens_policy.frozen import frozen
from costlens_policy.rewrites.content import BAD_SHAPE, Change, Content, RewriteError, Rewritten
from costlens_policy.rewrites.shapes import is_list, kind_of
from costlens_policy.rewrites.steps import Activation, Making, Merge, Step, compiles

if TYPE_CHECKING:
    from costlens_policy.documents.rewrites import RemoveTools

__all__ = ["RemoveToolsStep", "tool_names"]

_INSIDE: Final = ("function", "custom", "toolSpec", "systemTool")
"""Keys under which a tool has its name: OpenAI's chat and Bedrock."""
_LISTS: Final = ("function_declarations", "functionDeclarations", "tools")
"""Keys under which several tools stand: Gemini, and OpenAI's namespaces."""
_LABELS: Final = ("server_label", "mcp_server_name")
"""Keys of the name of a server that offers tools: OpenAI and Anthropic."""
_BUILT_IN: Final = frozenset({
    "apply_patch", "code_execution", "code_interpreter", "computer", "computer_use", "computer_use_preview",
    "document_library", "enterprise_web_search", "file_search", "google_maps", "google_search",
    "google_search_retrieval", "image_generation", "local_shell", "retrieval", "shell", "tool_search", "url_context",
    "web_search", "web_search_premium", "web_search_preview", "x_search",
})  # fmt: skip
"""What providers run themselves, by its type (OpenAI, Mistral, xAI) or its only key (Gemini): one tool each."""
_MARKS: Final = ({"cachePoint"}, {"cache_point"})
"""Keys of what stands among tools and is none: Bedrock's marks of caches."""
_CHOICES: Final = ("tool_choice", "function_call")
_OPEN_CHOICES: Final = frozenset({"auto", "any", "none", "required", "validated"})
"""Choices that name no tool: OpenAI, Anthropic, Gemini, Mistral, and Cohere in capitals."""


@frozen
class RemoveToolsStep:
    """Removes the tools whose names match one of ``patterns`` or, with ``keeps``, those that match none of them."""

    target: ClassVar = None
    patterns: tuple[str, ...]
    keeps: bool

    def apply(self, content: Content, activation: Activation) -> Rewritten:
        self._look_into_messages(content)
        tools = content.tools
        if not tools:
            return content, ()
        left = () if self.patterns == ("*",) and not self.keeps else self._left(tools, "tools")
        if _same(left, tools):
            return content, ()
        left = () if all(map(_is_mark, left)) else left
        params, changes = _without_choices(content.params, left)
        before, after = len(tool_names(tools)), len(tool_names(left))
        change = Change("remove_tools", "tools", f"{before - after} of {before} removed")
        rest = Content(content.prompt, content.messages, params, content.system, tuple(left) or None)
        return rest, (change, *changes)

    def merged(self, later: Step, merge: Merge) -> Step | None:
        return None

    def _left(self, tools: Sequence[Any], place: str) -> list[Any]:
        kept = [self._kept(tool, f"{place}[{index}]") for index, tool in enumerate(tools)]
        return [tool for tool in kept if tool is not None]

    def _kept(self, tool: Any, place: str) -> Any:
        """Return a tool, or what is left of a set that lists its tools; None where nothing is."""
        if not isinstance(tool, Mapping):
            raise RewriteError(BAD_SHAPE, f"the name of `{place}` cannot be read")
        if _is_mark(tool):
            return tool
        if len(tool) > 1 and not {"type", "name", *_INSIDE} & tool.keys():
            return self._several(tool, place)
        names, key = _names_of(tool), next((key for key in _LISTS if is_list(tool.get(key))), None)
        if any(_matches(name, self.patterns) for name in names):
            return tool if self.keeps else None
        if key is not None:
            left = self._left(tool[key], f"{place}.{key}")
            return tool if _same(left, tool[key]) else {**tool, key: left} if left else None
        if not names:
            raise RewriteError(BAD_SHAPE, f"the name of `{place}` cannot be read")
        return self._of_server(tool, place) if _may_hold_others(tool) else None if self.keeps else tool

    def _several(self, tool: Mapping[str, Any], place: str) -> Any:
        """Return what is left of several tools in one object, as Gemini has them."""
        kept = [self._kept({key: value}, place) for key, value in tool.items()]
        left = {key: value for part in kept if part is not None for key, value in part.items()}
        return tool if left == tool else left or None

    def _of_server(self, tool: Mapping[str, Any], place: str) -> Any:
        """Return a server with those of its tools that stay. One that lists none may have any."""
        allowed = tool.get("allowed_tools")
        if is_list(allowed) and all(isinstance(name, str) for name in allowed):
            left = [name for name in allowed if _matches(name, self.patterns) is self.keeps]
            return tool if _same(left, allowed) else {**tool, "allowed_tools": left} if left else None
        if self.keeps:
            return None
        raise RewriteError(BAD_SHAPE, f"`{place}` does not list its tools, so one to remove may be among them")

    def _look_into_messages(self, content: Content) -> None:
        """Refuse a conversation in which tools are declared: some items of OpenAI's Responses API do so."""
        for index, message in enumerate(content.messages or ()):
            if isinstance(message, Mapping) and message.get("tools"):
                raise RewriteError(BAD_SHAPE, f"`messages[{index}]` declares tools, which cannot be removed there")


def tool_names(tools: Sequence[Any] | None) -> list[str]:
    """Return the names of tools in order, of a set those that it lists; one without a readable name is ``?``."""
    return [name for tool in tools or () if not _is_mark(tool) for name in _listed_in(tool)]


def _listed_in(tool: Any) -> list[str]:
    if isinstance(tool, Mapping):
        if len(tool) > 1 and not {"type", "name", *_INSIDE} & tool.keys():
            return [name for key, value in tool.items() for name in _listed_in({key: value})]
        for key in (*_LISTS, "allowed_tools"):
            if is_list(tool.get(key)):
                return tool_names(tool[key])
    return [tool] if isinstance(tool, str) else _names_of(tool)[:1] or ["?"]


def _names_of(tool: Any) -> list[str]:
    """Return what a tool is called, the most specific first; nothing where it has a shape that is not known.

    What a provider runs itself may have no name but its type, or with Gemini its only key.
    """
    if not isinstance(tool, Mapping):
        return []
    inner = [tool[key] for key in _INSIDE if isinstance(tool.get(key), Mapping)]
    own = [value.get("name") for value in (*inner, tool)] + [tool.get(key) for key in _LABELS]
    found = [name for name in own if isinstance(name, str) and name]
    kind = kind_of(tool)
    if kind:
        return found if kind in ("function", "custom", "tool") else [*found, kind]
    return found or [key for key in tool if _is_built_in(key)]


def _is_built_in(kind: str) -> bool:
    """Return whether a type, perhaps with a date behind it, or a key, perhaps in camel case, is of one known tool."""
    snake = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in kind)
    return snake.rstrip("0123456789_-") in _BUILT_IN


def _is_mark(tool: Any) -> bool:
    return isinstance(tool, Mapping) and set(tool) in _MARKS


def _may_hold_others(tool: Mapping[str, Any]) -> bool:
    """Return whether a tool may stand for others: it is a server or a set, or of an unknown type without a name."""
    kind = kind_of(tool)
    if kind == "mcp" or "toolset" in kind or any(key in tool for key in _LABELS):
        return True
    return bool(kind) and _names_of(tool) == [kind] and not _is_built_in(kind)


def _same(left: Sequence[Any], tools: Sequence[Any]) -> bool:
    return len(left) == len(tools) and all(one is other for one, other in zip(left, tools, strict=True))


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(_fits(name, pattern.split("*")) for pattern in patterns)


def _fits(name: str, pieces: list[str]) -> bool:
    """Return whether a name consists of the pieces in order, with anything between them."""
    first, *middle = pieces
    if not middle:
        return name == first
    last = middle.pop()
    if len(name) < len(first) + len(last) or not name.startswith(first) or not name.endswith(last):
        return False
    at, end = len(first), len(name) - len(last)
    for piece in middle:
        found = name.find(piece, at, end)
        if found < 0:
            return False
        at = found + len(piece)
    return True


def _without_choices(params: Mapping[str, Any], left: Sequence[Any]) -> tuple[Mapping[str, Any], tuple[Change, ...]]:
    """Return the parameters without the choice of a tool that is gone; where none is left, without all about calls."""
    if not left:
        updates = dict.fromkeys(name for name in (*_CHOICES, "parallel_tool_calls") if name in params)
    else:
        names = frozenset(_all_names(left))
        kept = {
            name: _choice(params[name], names, f"params.{name}") for name in _CHOICES if params.get(name) is not None
        }
        updates = {name: choice for name, choice in kept.items() if choice is not params[name]}
    if not updates:
        return params, ()
    after = {**params, **updates}
    changes = tuple(Change("remove_tools", f"params.{name}", _became(choice)) for name, choice in updates.items())
    return {name: value for name, value in after.items() if value is not None or name not in updates}, changes


def _became(choice: Any) -> str:
    return "removed" if choice is None else "narrowed to the tools that are left"


def _all_names(tools: Sequence[Any]) -> Iterator[str]:
    """Yield every name by which a choice may mean one of the tools."""
    for tool in tools:
        yield from _names_of(tool)
        yield from _listed_in(tool)


def _choice(choice: Any, names: frozenset[str], place: str) -> Any:
    """Return a choice where all that it names is left, what is left of a list of allowed tools, or None."""
    if isinstance(choice, str):
        return choice if choice.lower() in _OPEN_CHOICES or choice in names else None
    holder = choice.get("allowed_tools", choice) if isinstance(choice, Mapping) else None
    if not isinstance(holder, Mapping):
        raise _unknown_choice(place)
    if is_list(holder.get("tools")):
        allowed = [tool for tool in holder["tools"] if _chosen(tool, place) in names]
        narrowed = {**holder, "tools": allowed}
        if _same(allowed, holder["tools"]):
            return choice
        return None if not allowed else narrowed if holder is choice else {**choice, "allowed_tools": narrowed}
    if kind_of(choice).lower() in _OPEN_CHOICES and "name" not in choice:
        return choice
    return choice if _chosen(choice, place) in names else None


def _chosen(choice: Any, place: str) -> str:
    """Return the one tool, or the server, that a choice names: by its label, its name, or else its type."""
    labels = [choice[key] for key in _LABELS if key in choice] if isinstance(choice, Mapping) else []
    names = [*labels, *_names_of(choice)]
    if not names:
        raise _unknown_choice(place)
    return str(names[0])


def _unknown_choice(place: str) -> RewriteError:
    return RewriteError(BAD_SHAPE, f"`{place}` names a tool in a shape that is not known")


@compiles("remove_tools")
def _remove_tools(section: RemoveTools, making: Making) -> tuple[Step, ...]:
    return (RemoveToolsStep(section.names or section.all_except, keeps=bool(section.all_except)),)
