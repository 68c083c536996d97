"""Every text of a request, wherever it stands, changed by one function; also texts inside JSON, such as tool calls."""

from __future__ import annotations

import json
import operator
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from costlens_policy.frozen import frozen
from costlens_policy.rewrites.content import BAD_SHAPE, Content, Message, RewriteError
from costlens_policy.rewrites.shapes import is_list, kind_of, speaker_of
from costlens_policy.tokens import (
    KEY_KINDS,
    PAYLOADS,
    KeyKind,
    is_data,
    media_kind,
    media_of_key,
    text_in_data,
    with_text_in_data,
)

__all__ = ["TextMapping", "Transform", "free_key", "map_json", "map_value"]

Transform: TypeAlias = Callable[[str], str]


def map_value(value: Any, transform: Transform, numbers: bool) -> Any:
    """Return a JSON value with every text in it changed, keys too; the same object where nothing changed.

    With ``numbers``, a whole number counts as the text of its digits, and becomes one if that changes. Raises
    ``RecursionError`` for a value nested without end.
    """
    if isinstance(value, str):
        text = transform(value)
        return value if text == value else text
    if isinstance(value, Mapping):
        return _map_entries(value, transform, numbers)
    if is_list(value):
        items = [map_value(item, transform, numbers) for item in value]
        return value if all(new is old for new, old in zip(items, value, strict=True)) else items
    if isinstance(value, bytes | bytearray):
        return _map_bytes(value, transform)
    if numbers and isinstance(value, int) and not isinstance(value, bool) and value.bit_length() < 128:
        digits = str(value)
        text = transform(digits)
        return value if text == digits else text
    return value


def _map_bytes(value: bytes | bytearray, transform: Transform) -> bytes | bytearray:
    """Change bytes that are text; others are a file."""
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError:
        return value
    new = transform(text)
    return value if new == text else new.encode("utf-8", "surrogatepass")


def _map_entries(value: Mapping[Any, Any], transform: Transform, numbers: bool) -> Mapping[Any, Any]:
    entries: dict[Any, Any] = {}
    changed = False
    for key, item in value.items():
        new_key = transform(key) if isinstance(key, str) else key
        new_item = map_value(item, transform, numbers)
        changed = changed or new_key != key or new_item is not item
        entries[free_key(entries, new_key)] = new_item
    return entries if changed else value


def free_key(entries: Mapping[Any, Any], key: Any) -> Any:
    """Return the key, or a numbered one where two keys have become the same: no entry gets lost."""
    if key not in entries:
        return key
    number = 2
    while f"{key} {number}" in entries:
        number += 1
    return f"{key} {number}"


def map_json(text: str, transform: Transform, numbers: bool) -> str:
    """Change the texts inside a JSON text; one that is not JSON, or hides an entry behind another, as a whole."""
    try:
        value = json.loads(text, object_pairs_hook=_without_repeats)
    except (ValueError, RecursionError):
        return transform(text)
    changed = map_value(value, transform, numbers)
    return text if changed is value else json.dumps(changed, ensure_ascii=False)


def _without_repeats(entries: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(entries)
    if len(found) < len(entries):
        raise ValueError("two entries of one name: the first would be sent unseen")
    return found


_RESULTS: Final = frozenset({"functionResponse", "function_response", "toolResult"})
_SIGNED: Final = frozenset({"thinking", "redacted_thinking"})
_DROPPED: Final[Any] = object()


@frozen
class TextMapping:
    """Applies a function to the prompt, the system text, and in messages to every text of every shape.

    ``roles`` are those whose texts are meant, of ``system``, ``user``, ``assistant`` and ``tool``; empty means all
    texts, those of other roles too. A prompt is a user's text, a tool result a tool's, whatever message carries it.
    ``numbers`` says whether whole numbers in tool calls, and where nobody knows what stands there, count as texts.
    ``note`` gets each place where something changed, right after it did.

    ``everywhere`` is for what must not leave: then names, addresses, parameters and text files in base64 are texts,
    too. Where a text speaks to the provider, as an id does, it cannot be changed, and the mapping fails if it would.
    """

    transform: Transform
    note: Callable[[str], None]
    roles: frozenset[str] = frozenset()
    numbers: bool = False
    everywhere: bool = False

    def apply(self, content: Content) -> Content:
        """Return the content afterwards; the same object where no text changed.

        Raises ``RewriteError`` for messages whose texts cannot be distinguished from the rest.
        """
        try:
            return self._apply(content)
        except RecursionError:
            raise RewriteError(BAD_SHAPE, "the messages are nested too deeply") from None

    def _apply(self, content: Content) -> Content:
        system, params, prompt, messages = content.system, content.params, content.prompt, content.messages
        if system is not None and self._means("system"):
            system = self._noted(system, self.transform(system), "system")
        if (given := params.get("system")) is not None:
            text = self._noted(given, self._texts(given, "system", "params.system"), "params.system")
            params = params if text is given else {**params, "system": text}
        if self.everywhere:
            params = self._params(params)
        if prompt is not None and self._means("user"):
            prompt = self._noted(prompt, self.transform(prompt), "prompt")
        if messages is not None:
            mapped = tuple(self._message(message, index) for index, message in enumerate(messages))
            messages = messages if all(map(operator.is_, mapped, messages)) else mapped
        result = Content(prompt, messages, params, system, content.tools)
        return content if result == content else result

    def _means(self, role: str) -> bool:
        return not self.roles or role in self.roles

    def _noted(self, old: Any, new: Any, where: str) -> Any:
        """Return the new value and note its place, or the old one where they are equal."""
        if new == old:
            return old
        self.note(where)
        return new

    def _params(self, params: Mapping[str, Any]) -> Mapping[str, Any]:
        """Change the texts of parameters: who is asking, documents to cite, and what else there is."""
        changed = {}
        for name, value in params.items():
            if name == "system" or value is None or isinstance(value, bool | int | float):
                continue
            where = f"params.{name}"
            new = self._noted(value, map_value(value, self.transform, False), where)
            if new is not value:
                changed[name] = new
        return {**params, **changed} if changed else params

    def _message(self, message: Message, index: int) -> Message:
        where = f"messages[{index}]"
        if not isinstance(message, Mapping):
            raise RewriteError(BAD_SHAPE, f"`{where}` must be an object")
        new = self._entry(message, speaker_of(message), where)
        return self._noted(message, new, where)

    def _texts(self, content: Any, role: str, where: str) -> Any:
        """Return a text, a part or a list of parts with the texts changed; the same object where nothing changed."""
        if isinstance(content, str):
            return self.transform(content) if self._means(role) else content
        if isinstance(content, Mapping):
            part = self._part(content, role, where)
            return [] if part is _DROPPED else part
        if not is_list(content):
            raise RewriteError(BAD_SHAPE, f"`{where}` must be a string or a list of parts")
        parts = [self._part(part, role, where) for part in content]
        if all(new is old for new, old in zip(parts, content, strict=True)):
            return content
        return [part for part in parts if part is not _DROPPED]

    def _part(self, part: Any, role: str, where: str) -> Any:
        """Return a part with its texts changed; ``_DROPPED`` for one that can only be left out."""
        if part is None:
            return None
        if isinstance(part, str):
            return self._mapped(part, role)
        if not isinstance(part, Mapping):
            raise RewriteError(BAD_SHAPE, f"`{where}` must hold only strings and objects")
        kind = kind_of(part)
        new = self._entry(part, "tool" if kind.endswith("tool_result") else role, where)
        if new is not part and (kind in _SIGNED or "reasoningContent" in part):
            return _DROPPED  # its signature covers the text: a changed one is refused, a missing one is not
        return new

    def _entry(self, item: Any, role: str, where: str) -> Any:
        """Change every text of a message, item or part, by what stands under its keys."""
        if not isinstance(item, Mapping):
            return self._mapped(item, role)
        if media_kind(item) is not None:
            return self._media(item, True, where) if self.everywhere else item
        changed: dict[Any, Any] | None = None
        for key, value in item.items():
            place = KEY_KINDS.get(key) if type(key) is str else None
            new = value if value is None else self._at(place, key, value, role, where)
            if new is not value and new != value:
                changed = {**item} if changed is None else changed
                changed[key] = new
            if place is None and self.everywhere and isinstance(key, str) and (name := self.transform(key)) != key:
                changed = {**item} if changed is None else changed
                moved = changed.pop(key)
                changed[free_key(changed, name)] = moved
        return item if changed is None else changed

    def _at(self, place: KeyKind | None, key: str, value: Any, role: str, where: str) -> Any:
        """Return the value under a key with its texts changed."""
        match place:
            case KeyKind.PARTS:
                return self._texts(value, role, f"{where}.{key}")
            case KeyKind.MARK:
                return self._unchangeable(value, f"{where}.{key}")
            case KeyKind.SEALED:
                return self._media(value, True, f"{where}.{key}") if self.everywhere else value
            case KeyKind.CALLS | KeyKind.ENTRY:
                whose = "tool" if key in _RESULTS else role
                return _each(value, lambda call: self._entry(call, whose, f"{where}.{key}"))
            case KeyKind.MEDIA:
                return _each(value, lambda item: self._under(key, item, role, f"{where}.{key}"))
            case KeyKind.JSON if isinstance(value, str):
                return map_json(value, self.transform, self.numbers) if self._means(role) else value
            case KeyKind.TEXT if key == "name" and not self.everywhere:
                return value
        return self._mapped(value, role, numbers=self.numbers)

    def _mapped(self, value: Any, role: str, numbers: bool = False) -> Any:
        return map_value(value, self.transform, numbers) if self._means(role) else value

    def _under(self, key: str, value: Any, role: str, where: str) -> Any:
        """Return what stands under the key of an image, a clip or a file: a document may be written out."""
        if media_of_key(key, value) is None:
            return self._entry(value, role, where)
        return self._media(value, True, where) if self.everywhere else value

    def _unchangeable(self, value: Any, where: str) -> Any:
        if self.everywhere and map_value(value, self.transform, False) is not value:
            raise RewriteError(BAD_SHAPE, f"`{where}` holds a text to change in a field that only the provider reads")
        return value

    def _media(self, value: Any, payload: bool, where: str) -> Any:
        """Change the texts around bytes, such as names and addresses, and those of files that are text."""
        if isinstance(value, str):
            if payload and (inner := text_in_data(value)) is not None and (new := self.transform(inner)) != inner:
                return with_text_in_data(value, new)
            return value if is_data(value, in_media=payload) else self._mapped(value, "")
        if isinstance(value, Mapping):
            entries: dict[Any, Any] = {}
            for key, item in value.items():
                if isinstance(key, str) and KEY_KINDS.get(key) is KeyKind.MARK:
                    entries[key] = self._unchangeable(item, f"{where}.{key}")
                    continue
                name = self.transform(key) if isinstance(key, str) and key not in KEY_KINDS else key
                entries[free_key(entries, name)] = self._media(item, key in PAYLOADS, where)
            same = entries.keys() == value.keys() and all(entries[key] is item for key, item in value.items())
            return value if same else entries
        if is_list(value):
            return _each(value, lambda item: self._media(item, payload, where))
        return map_value(value, self.transform, False)


def _each(value: Any, change: Callable[[Any], Any]) -> Any:
    """Change one thing or each of a list; the same object where nothing changed."""
    if not is_list(value):
        return change(value)
    items = [change(item) for item in value]
    return value if all(map(operator.is_, items, value)) else items
