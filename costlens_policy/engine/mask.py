"""What stands in the place of texts and names in a record of a decision."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Iterator, Mapping
from itertools import count
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from costlens_policy.checker.attributes import STANDARD_ATTRIBUTES
from costlens_policy.diagnostics.suggestion import did_you_mean
from costlens_policy.documents.parameters import NO_TEXTS, PASSING
from costlens_policy.expressions import DURATION, TIMESTAMP
from costlens_policy.tokens.places import KEY_KINDS, PAYLOADS, KeyKind

if TYPE_CHECKING:
    from costlens_policy.compiler.plan import Plan

__all__ = ["Mask", "MaskMode"]

MaskMode: TypeAlias = Literal["keep", "size", "hash", "redact", "drop"]
"""``keep`` a text; show its ``size``, a keyed ``hash``, or what is left once personal data is gone; ``drop`` it."""

_MODES: Final = ("keep", "size", "hash", "redact", "drop")
_HASH: Final = 16
_SHORT: Final = 3
_STRUCTURE: Final = frozenset({"role", "type"})
"""Keys of messages and tools whose values are words of an API, as long as they look like one."""
_WORD: Final = re.compile(r"[a-zA-Z0-9_.-]{1,40}")
_SPOKEN: Final = frozenset({"messages", "tools", "response_format", "system"})
"""What is sent in the shapes of providers."""
_SETTINGS: Final = NO_TEXTS - {
    "user", "metadata", "stop", "stop_sequences", "labels", "logit_bias", "moderation", "safety_identifier",
    "prompt_cache_key", "prompt_cache_options", "tool_choice", "function_call",
}  # fmt: skip
"""Parameters whose texts are words of an API."""
_SENT: Final = ("prompt", "system", "messages", "tools")
_LABELED: Final = frozenset({"metadata", "labels"})
"""Attributes and parameters whose keys are shown: they are names that callers give, as those of attributes are."""
_TIMES: Final = (TIMESTAMP, DURATION)
"""Types of attributes that JSON has as strings, and that are no texts."""
_OF_TOOLS: Final = (  # in the shapes of providers
    "allowed_tools allowed_callers input_schema inputSchema toolSpec function_declarations functionDeclarations "
    "parameters parametersJsonSchema strict defer_loading mode tool disable_parallel_tool_use server_label server_url "
    "server_description require_approval connector_id headers filters max_num_results max_uses user_location "
    "allowed_domains blocked_domains vector_store_ids container display_width_px display_height_px environment "
    "grammar syntax definition schema json_schema annotations logprobs phase"
)
_OF_SCHEMAS: Final = (  # JSON Schema, 2020-12 and before
    "description enum const default examples properties required items prefixItems additionalProperties "
    "patternProperties propertyNames propertyOrdering anyOf allOf oneOf not if then else $ref $defs $schema $id "
    "definitions pattern minimum maximum exclusiveMinimum exclusiveMaximum multipleOf minLength maxLength minItems "
    "maxItems uniqueItems minProperties maxProperties contains dependentRequired dependentSchemas nullable readOnly"
)
_KEYS: Final = frozenset(
    {*KEY_KINDS, *PAYLOADS, *STANDARD_ATTRIBUTES, *PASSING, *_OF_TOOLS.split(), *_OF_SCHEMAS.split()}
)
"""Keys that are words of an API. Others are names of a program, or were written by a model."""
_OF_NAMES: Final = frozenset(
    {"properties", "patternProperties", "dependentSchemas", "dependentRequired", "$defs", "definitions", "headers"}
)
"""Keys of objects whose own keys are names, even where one is also a word of an API."""
_OF_ANSWERS: Final = frozenset(key for key, kind in KEY_KINDS.items() if kind is KeyKind.JSON)
"""Keys of what a model wrote, or a tool."""
_CHOICES: Final = frozenset({"auto", "none", "any", "required", "validated"})
"""Values of a choice of tools that name no tool."""


class Mask:
    """Says what is shown of the texts of a decision, and of attributes by their names.

    ``texts`` is for all texts of the request and of what is sent: prompts, messages, tools, parameters, metadata and
    declared attributes without fixed values. Labels such as ``team`` and ``user`` are kept, unless ``attributes`` has
    another mode for them: then their values are masked in scope keys and reasons, too. ``key`` is the secret of hashes,
    at least 16 bytes: equal values give equal hashes, and nobody without it can try values. ``regions`` are countries
    whose phone numbers ``redact`` finds. Raises ``ValueError`` for a mode that there is none of, or a hash without key.
    An attribute that the policies do not have is refused where the mask is put on.
    """

    def __init__(
        self,
        texts: MaskMode = "size",
        attributes: Mapping[str, MaskMode] | None = None,
        *,
        key: bytes | None = None,
        regions: tuple[str, ...] = (),
    ) -> None:
        self.texts: Final = texts
        self.attributes: Final = dict(attributes or {})
        used = {texts, *self.attributes.values()}
        if wrong := used.difference(_MODES):
            raise ValueError(f"a mask must be one of {', '.join(_MODES)}, got `{min(wrong)}`")
        if texts == "drop":
            raise ValueError("`drop` is for attributes; for all texts use `size`")
        if "hash" in used and (key is None or len(key) < 16):
            raise ValueError("`hash` needs a `key` of at least 16 bytes")
        self._key = key or b""
        self._redact: Callable[[str], str] | None = None
        if "redact" in used:
            from costlens_policy.rewrites.redaction import redactor

            self._redact = redactor(regions)

    def masked(self, exported: Mapping[str, Any], plan: Plan) -> dict[str, Any]:
        """Return a decision's data (``Decision.to_dict``) with the mask on it. Raises as ``request`` does."""
        request, names = self.request(exported["request"], plan)
        names |= self._in_keys(exported, plan)
        sent = self._sent(exported, exported["request"], request)
        shown: dict[str, Any] = {**exported, **sent, "request": request}
        shown["fallback_calls"] = [{**call, **self._sent(call, exported, sent)} for call in exported["fallback_calls"]]
        if self.texts != "keep":
            shown["errors"] = [{**item, "message": _size(item["message"])} for item in exported["errors"]]
        if "record" in exported:
            shown["record"] = [self._stage(stage, request) for stage in exported["record"]]
        return _renamed(shown, names) if names else shown

    def request(self, request: Mapping[str, Any], plan: Plan) -> tuple[dict[str, Any], dict[str, str]]:
        """Return a request's data with the mask on it, and what stands for each masked label.

        Raises ``ValueError`` where the mask names an attribute that the policies do not have: what was meant would be
        shown.
        """
        if request:  # of a call that is settled by its id nothing is known, not even the policies
            self._check_names(plan)
        shown: dict[str, Any] = {}
        names: dict[str, str] = {}
        for name, value in request.items():
            mode = self.mode_of(name, plan)
            if mode != "drop":
                shown[name] = self._value(name, value, mode)
            if name in STANDARD_ATTRIBUTES and STANDARD_ATTRIBUTES[name].label and mode != "keep":
                texts = [value] if isinstance(value, str) else value if isinstance(value, list) else []
                names |= {text: self._text(text, mode) for text in texts if isinstance(text, str) and text}
        return shown, names

    def _in_keys(self, exported: Mapping[str, Any], plan: Plan) -> dict[str, str]:
        """Return what stands for masked texts that scope keys of budgets have, such as a declared `customer`.

        A task by which calls are measured is such a text, too.
        """
        keys = [item["key"] for item in exported["balances_read"]]
        keys += [item["task"] for item in exported.get("measured", ())]
        found: dict[str, str] = {}
        for name, value in exported["request"].items():
            mode = self.mode_of(name, plan)
            if mode == "keep" or name in _SENT or name in _SPOKEN:
                continue
            for text in _texts_in(value):
                if any(text == key or (len(text) >= _SHORT and text in key) for key in keys):
                    found[text] = self._text(text, mode)
        return found

    def _check_names(self, plan: Plan) -> None:
        known = STANDARD_ATTRIBUTES.keys() | plan.attributes.keys()
        for name in self.attributes:
            if name not in known:
                hint = did_you_mean(name, known)
                raise ValueError(f"the mask names `{name}`, which is not an attribute" + (f"; {hint}" if hint else ""))

    def mode_of(self, name: str, plan: Plan) -> MaskMode:
        """Return how an attribute is shown: by ``attributes``, else labels, signals, fixed values and times plainly."""
        if name in self.attributes:
            return self.attributes[name]
        known = STANDARD_ATTRIBUTES.get(name)
        declared = plan.attributes.get(name)
        plain = name == "model" or (known is not None and known.label)
        if declared is not None and (declared.values or declared.type in _TIMES or declared.signals):
            plain = True
        return "keep" if plain else self.texts

    def _value(self, name: str, value: Any, mode: MaskMode) -> Any:
        if mode == "keep":
            return value
        if name == "params" and isinstance(value, dict):
            return {key: self._parameter(key, item, mode) for key, item in value.items()}
        if name in _SPOKEN:
            return self._inside(value, mode)
        return self._texts(value, mode)

    def _parameter(self, name: str, value: Any, mode: MaskMode) -> Any:
        if isinstance(value, str) and value in _CHOICES:
            return value
        if name in _SETTINGS:
            return self._setting(value, mode)
        return self._texts(value, mode) if name in _LABELED else self._inside(value, mode)

    def _setting(self, value: Any, mode: MaskMode) -> Any:
        """Return a setting with what does not look like a word of an API masked."""
        if isinstance(value, str):
            return value if _WORD.fullmatch(value) else self._text(value, mode)
        if isinstance(value, list):
            return [self._setting(item, mode) for item in value]
        if isinstance(value, dict):
            return {key if _WORD.fullmatch(key) else self._text(key, mode): self._setting(item, mode)
                    for key, item in value.items()}  # fmt: skip
        return value

    def _texts(self, value: Any, mode: MaskMode) -> Any:
        """Return a value with the same shape and keys, and other texts."""
        if isinstance(value, str):
            return self._text(value, mode)
        if isinstance(value, list):
            return [self._texts(item, mode) for item in value]
        if isinstance(value, dict):
            return {key: self._texts(item, mode) for key, item in value.items()}
        return value

    def _inside(self, value: Any, mode: MaskMode, *, names: bool = False, answers: bool = False) -> Any:
        """Return a value of an API with the same shape, other texts, and only the keys that are words of the API.

        ``names``: its keys are names, whatever they are. ``answers``: all that it holds was written by a model.
        """
        if isinstance(value, str):
            return self._text(value, mode)
        if isinstance(value, list):
            return [self._inside(item, mode, names=names, answers=answers) for item in value]
        if not isinstance(value, dict):
            return value
        shown: dict[str, Any] = {}
        for key, item in value.items():
            if names or answers or key not in _KEYS:
                shown[_unused(self._text(key, mode), shown)] = self._inside(item, mode, answers=answers)
            elif isinstance(item, str):
                shown[key] = item if key in _STRUCTURE and _WORD.fullmatch(item) else self._text(item, mode)
            else:
                shown[key] = self._inside(item, mode, names=key in _OF_NAMES, answers=key in _OF_ANSWERS)
        return shown

    def _text(self, text: str, mode: MaskMode) -> str:
        if mode == "keep":
            return text
        if mode == "hash":
            return f"[{hmac.new(self._key, text.encode('utf-8', 'surrogatepass'), hashlib.sha256).hexdigest()[:_HASH]}]"
        if mode == "redact" and self._redact is not None:
            try:
                return self._redact(text)
            except Exception:  # whatever cannot be redacted is not shown
                return _size(text)
        return _size(text)

    def _sent(self, item: Mapping[str, Any], before: Mapping[str, Any], shown: Mapping[str, Any]) -> dict[str, Any]:
        """Return what is sent, masked. What is the same as ``before`` is ``shown`` as that was."""
        return {
            name: shown[name]
            if name in shown and before[name] == item[name]
            else self._value(name, item[name], self.attributes.get(name, self.texts))
            for name in (*_SENT, "params")
        }

    def _stage(self, stage: dict[str, Any], request: Mapping[str, Any]) -> dict[str, Any]:
        if self.texts == "keep" and not self.attributes:
            return stage
        rules = [{**rule, "parts": [self._part(part) for part in rule["parts"]]} for rule in stage["rules"]]
        notes = [f"`{name}`" for name in request] if stage["stage"] == "request" else stage["notes"]
        return {**stage, "rules": rules, "notes": notes}

    def _part(self, part: dict[str, str]) -> dict[str, str]:
        name = part["text"].removeprefix("request.")
        known = STANDARD_ATTRIBUTES.get(name)
        is_label = known is not None and known.label and self.attributes.get(name, "keep") == "keep"
        if part["text"].startswith(("model.", "signals.")) or is_label or part["value"][:1] not in ('"', "[", "{"):
            return part
        return {**part, "value": _size(part["value"])}


def _texts_in(value: Any) -> Iterator[str]:
    if isinstance(value, str) and value:
        yield value
    elif isinstance(value, list | dict):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _texts_in(item)


def _unused(name: str, taken: Mapping[str, Any]) -> str:
    """Return a name that is not taken: names of the same size are shown alike."""
    return name if name not in taken else next(f"{name} {n}" for n in count(2) if f"{name} {n}" not in taken)


def _size(text: str) -> str:
    return f"[{len(text)} characters]"


def _renamed(value: Any, names: Mapping[str, str]) -> Any:
    """Return a decision's data with what stands for labels, wherever keys, reasons and notes have them."""
    replaced = dict(value)
    for name in (
        "reasons",
        "excluded",
        "alerts",
        "approvals",
        "balances",
        "balances_read",
        "measured",
        "overflowed",
        "shadowed",
        "errors",
        "record",
    ):
        if name in replaced:
            replaced[name] = _everywhere(replaced[name], names)
    replaced["fallback_calls"] = [
        {**call, "balances": _everywhere(call["balances"], names)} for call in replaced["fallback_calls"]
    ]
    return replaced


def _everywhere(value: Any, names: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return _without(value, names)
    if isinstance(value, list):
        return [_everywhere(item, names) for item in value]
    if isinstance(value, dict):
        return {key: _everywhere(item, names) for key, item in value.items()}
    return value


def _without(text: str, names: Mapping[str, str]) -> str:
    for name, shown in names.items():
        if text == name:
            return shown
        if name in text:
            if len(name) < _SHORT and name in _words(text):
                return _size(text)
            text = text.replace(name, shown) if len(name) >= _SHORT else text
    return text


def _words(text: str) -> Iterator[str]:
    return iter("".join(sign if sign.isalnum() else " " for sign in text).split())
