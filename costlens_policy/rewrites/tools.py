"""Tools taken out of a request, and with them whatever makes the model call one that is gone.

Each provider writes a tool in its own shape. A tool whose name cannot be read, or a set of tools that does not list
them, fails the rewrite, unless the whole of it goes: nothing that might be a removed tool is passed on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
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
"""What providers run themselves, by its type (OpenAI, Mistral, xAI) or its key (Gemini): one tool each."""
_FAMILIES: Final = (
    frozenset({"code_execution", "code_interpreter"}),
    frozenset({"computer", "computer_use", "computer_use_preview"}),
    frozenset({"enterprise_web_search", "google_search", "google_search_retrieval"}),
    frozenset({"file_search", "retrieval"}),
    frozenset({"local_shell", "shell"}),
    frozenset({"web_search", "web_search_premium", "web_search_preview"}),
)
"""What is one tool to who removes it, though each version and provider has its own type for it."""
_OWN_TYPES: Final = frozenset({"function", "custom", "tool"})
"""Types that say no more than that a tool is the caller's own."""
_DESCRIBING: Final = frozenset({
    "allowed_callers", "annotations", "cacheControl", "cache_control", "inputSchema", "input_examples", "input_schema",
    "metadata", "outputSchema", "output_schema", "parameter_definitions", "parameters", "parametersJsonSchema",
    "parameters_json_schema", "response", "responseJsonSchema", "response_json_schema",
})  # fmt: skip
"""Keys of a tool without a type under which no other tool stands."""
_MARKS: Final = ({"cachePoint"}, {"cache_point"})
"""Keys of what stands among tools and is none: Bedrock's marks of caches."""
_CHOICES: Final = frozenset({"toolchoice", "functioncall"})
_ABOUT_CALLS: Final = _CHOICES | {"paralleltoolcalls"}
"""Parameters by the letters of their names: Bedrock writes them in camel case."""
_OPEN_CHOICES: Final = frozenset({"auto", "any", "none", "required", "validated"})
"""Choices that name no tool: OpenAI, Anthropic, Gemini, Mistral, Cohere in capitals, and Bedrock as keys."""


@frozen
class RemoveToolsStep:
    """Removes the tools of which a name or type matches one of ``patterns``.

    With ``keeps``, it removes all but those of which each name, type and listed tool matches.
    """

    target: ClassVar = None
    patterns: tuple[str, ...]
    keeps: bool

    def apply(self, content: Content, activation: Activation) -> Rewritten:
        self._look_into_messages(content)
        tools = content.tools or ()
        left = self._left(tools, "tools") if "*" not in self.patterns else tools if self.keeps else ()
        if tools and _same(left, tools):
            return content, ()
        left = () if all(map(_is_mark, left)) else left
        params, changes = _without_choices(content.params, left)
        if tools:
            before, after = len(tool_names(tools)), len(tool_names(left))
            changes = (Change("remove_tools", "tools", f"{before - after} of {before} removed"), *changes)
        if not changes:
            return content, ()
        return Content(content.prompt, content.messages, params, content.system, tuple(left) or None), changes

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
        if _is_several(tool):
            return self._several(tool, place)
        if not self.keeps and self._is_named(tool):
            return None
        lists = [key for key in _LISTS if is_list(tool.get(key))]
        if not _is_readable(tool) or not (lists or _names_of(tool)):
            raise RewriteError(BAD_SHAPE, f"the name of `{place}` cannot be read")
        if self.keeps and not self._is_allowed(tool):
            return None
        if lists:
            tool = self._with_lists(tool, lists, place)
        if tool is not None and (_is_server(tool) or (not self.keeps and not lists and _is_unknown(tool))):
            return self._of_server(tool, place)
        return tool

    def _is_named(self, tool: Mapping[str, Any]) -> bool:
        """Return whether any name of a tool matches, or any type of what is one tool with it."""
        names = (*_called(tool), *(name for kind in _kinds_of(tool) for name in _spellings(_family(kind))))
        return any(_matches(name, self.patterns) for name in names)

    def _is_allowed(self, tool: Mapping[str, Any]) -> bool:
        """Return whether each name and type of a tool matches; a namespace is as good as the tools in it."""
        called, kinds = _called(tool), [*_kinds_of(tool), *_unknown_keys(tool)]
        if kinds == ["namespace"]:
            called, kinds = [], []
        return all(_matches(name, self.patterns) for name in called) and all(
            any(_matches(name, self.patterns) for name in _spellings({kind})) for kind in kinds
        )

    def _with_lists(self, tool: Mapping[str, Any], keys: Sequence[str], place: str) -> Any:
        left = {key: self._left(tool[key], f"{place}.{key}") for key in keys}
        if all(_same(tools, tool[key]) for key, tools in left.items()):
            return tool
        return {**tool, **left} if any(left.values()) else None

    def _several(self, tool: Mapping[str, Any], place: str) -> Any:
        """Return what is left of several tools in one object, as Gemini has them."""
        kept = [self._kept({key: value}, place) for key, value in tool.items()]
        left = {key: value for part in kept if part is not None for key, value in part.items()}
        return tool if left == tool else left or None

    def _of_server(self, tool: Mapping[str, Any], place: str) -> Any:
        """Return a server with those of its tools that stay. One that lists none may have any."""
        allowed = _allowed_of(tool)
        if allowed is not None:
            left = [name for name in allowed if _matches(name, self.patterns) is self.keeps]
            if _same(left, allowed):
                return tool
            holder = tool["allowed_tools"]
            return (
                {**tool, "allowed_tools": left if is_list(holder) else {**holder, "tool_names": left}} if left else None
            )
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
        if _is_several(tool):
            return [name for key, value in tool.items() for name in _listed_in({key: value})]
        listed = [tool_names(tool[key]) for key in _LISTS if is_list(tool.get(key))]
        if listed:
            return [name for names in listed for name in names]
        if (allowed := _allowed_of(tool)) is not None:
            return list(allowed)
    return [tool] if isinstance(tool, str) else _names_of(tool)[:1] or ["?"]


def _allowed_of(tool: Mapping[str, Any]) -> Sequence[str] | None:
    """Return the tools of a server that may be called, a list or OpenAI's filter; None where it does not name them."""
    allowed = tool.get("allowed_tools")
    names = allowed.get("tool_names") if isinstance(allowed, Mapping) else allowed
    return names if is_list(names) and all(isinstance(name, str) for name in names) else None


def _is_several(tool: Mapping[str, Any]) -> bool:
    return len(tool) > 1 and not {"type", "name", *_INSIDE} & tool.keys()


def _names_of(tool: Any) -> list[str]:
    """Return what a tool is called, the most specific first; nothing where it has a shape that is not known.

    What a provider runs itself may have no name but its type, or with Gemini its key.
    """
    return [*_called(tool), *_kinds_of(tool)] if isinstance(tool, Mapping) else []


def _called(tool: Mapping[str, Any]) -> list[str]:
    """Return the names of a tool that are free to choose, those of a server among them."""
    inner = [tool[key] for key in _INSIDE if isinstance(tool.get(key), Mapping)]
    own = [value.get("name") for value in (*inner, tool)] + [tool.get(key) for key in _LABELS]
    return [name for name in own if isinstance(name, str) and name]


def _kinds_of(tool: Mapping[str, Any]) -> list[str]:
    """Return the type of a tool that a provider runs, and each key that stands for one."""
    kind = kind_of(tool)
    keys = [key for key in tool if key != kind and _is_built_in(key)]
    return [kind, *keys] if kind and kind not in _OWN_TYPES else keys


def _unknown_keys(tool: Mapping[str, Any]) -> list[str]:
    """Return the keys of a tool without a type that may stand for another tool, one that nobody knows yet."""
    known = _DESCRIBING.union(_INSIDE, _LISTS, _kinds_of(tool))
    nested = (key for key, value in tool.items() if isinstance(value, Mapping) or is_list(value))
    return [] if kind_of(tool) else [key for key in nested if key not in known]


def _is_readable(tool: Mapping[str, Any]) -> bool:
    """Return whether whatever could name a tool is a text, and whatever could hold tools a list of them."""
    texts = [tool.get(key) for key in ("type", "name", *_LABELS)]
    inner = [tool[key] for key in _INSIDE if tool.get(key) is not None]
    texts += [value.get("name", 0) if isinstance(value, Mapping) else 0 for value in inner]
    return all(text is None or isinstance(text, str) for text in texts) and all(
        tool.get(key) is None or is_list(tool[key]) for key in _LISTS
    )


def _snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)


def _undated(kind: str) -> str:
    return _snake(kind).rstrip("0123456789_-")


def _is_built_in(kind: str) -> bool:
    """Return whether a type, perhaps with a date behind it, or a key, perhaps in camel case, is of one known tool."""
    return _undated(kind) in _BUILT_IN


def _family(kind: str) -> frozenset[str]:
    """Return the types of what is one tool with this one."""
    own = _undated(kind)
    return next((family for family in _FAMILIES if own in family), frozenset()) | {kind}


def _spellings(kinds: Iterable[str]) -> set[str]:
    """Return types as they are, without their dates, in snake case and in camel case."""
    plain = {name for kind in kinds for name in (kind, _snake(kind), _undated(kind)) if name}
    return plain | {name[0] + name.title().replace("_", "")[1:] for name in plain if name.islower()}


def _is_mark(tool: Any) -> bool:
    return isinstance(tool, Mapping) and set(tool) in _MARKS


def _is_server(tool: Mapping[str, Any]) -> bool:
    """Return whether a tool stands for others that somebody else lists."""
    kind = kind_of(tool)
    return kind == "mcp" or "toolset" in kind or any(tool.get(key) for key in _LABELS)


def _is_unknown(tool: Mapping[str, Any]) -> bool:
    """Return whether a tool, of a type that is not known and without a name, may be any."""
    kind = kind_of(tool)
    return bool(kind) and not _called(tool) and not _is_built_in(kind)


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
        updates = dict.fromkeys(name for name in params if _letters(name) in _ABOUT_CALLS)
    else:
        names = frozenset(_all_names(left))
        kept = {
            name: _choice(value, names, f"params.{name}")
            for name, value in params.items()
            if value is not None and _letters(name) in _CHOICES
        }
        updates = {name: choice for name, choice in kept.items() if choice is not params[name]}
    if not updates:
        return params, ()
    after = {**params, **updates}
    changes = tuple(Change("remove_tools", f"params.{name}", _became(choice)) for name, choice in updates.items())
    return {name: value for name, value in after.items() if value is not None or name not in updates}, changes


def _letters(name: str) -> str:
    return "".join(filter(str.isalnum, name.casefold()))


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
    if len(choice) == 1 and choice.keys() <= _OPEN_CHOICES:
        return choice
    one = choice["tool"] if isinstance(choice.get("tool"), Mapping) else choice
    return choice if _chosen(one, place) in names else None


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
