"""Step 1, the request: checked against the declared attributes, defaults filled in, unknown names refused."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import islice
from typing import Any, Final

from costlens_policy.compiler.attributes import RequestAttribute
from costlens_policy.compiler.plan import Plan
from costlens_policy.documents.parameters import (
    LONGEST_NAME,
    OUTPUT_LIMIT,
    OUTPUT_LIMIT_NAMES,
    PASSING,
    SYSTEM,
    advice,
    steering,
    steering_inside,
    texts_of,
)
from costlens_policy.errors import RequestError
from costlens_policy.expressions import Value
from costlens_policy.rewrites import Content, content_tokens
from costlens_policy.tokens import KEY_KINDS, KeyKind, TokenCounter, Tokenizer, media_kind, media_of_key

__all__ = ["GIVEN", "admit_request", "content_of", "count_request", "needs_of", "same_texts", "verified"]


_LIMITS: Final = frozenset(OUTPUT_LIMIT_NAMES)
_MOST_NAMED: Final = 50
"""Names of a request that are refused one by one: each is compared with those that there are."""


def admit_request(plan: Plan, request: Mapping[str, Any]) -> dict[str, Value]:
    """Return the request as expressions see it: a new dict of CEL values.

    An attribute that is ``None`` counts as absent. Raises ``RequestError`` with every problem, or the first of many.
    """
    if type(request) is dict:
        try:
            admitted = plan.shapes[tuple(request)](request)
        except ValueError:
            admitted = None
        if admitted is not None:
            as_it_is = "params" not in admitted and not plan.filled_in
            if as_it_is or not _completed(plan, admitted):
                return admitted
    elif not isinstance(request, Mapping):
        raise RequestError((f"a request is an object with attributes, not {type(request).__name__}",))
    return _admit_each(plan, request)


def _completed(plan: Plan, admitted: dict[str, Value]) -> list[str]:
    """Read the parameters and fill in defaults; return what is wrong with the parameters."""
    problems = _examine_params(plan, admitted) if "params" in admitted else []
    for name, default in plan.filled_in:
        if name not in admitted:
            admitted[name] = default
            if name == "params":
                problems += _examine_params(plan, admitted)
    return problems


def _admit_each(plan: Plan, request: Mapping[str, Any]) -> dict[str, Value]:
    """Walk over the attributes one by one, and over what is wrong with them."""
    admitted: dict[str, Value] = {}
    problems: list[str] = []
    more = 0
    admit = plan.admit
    for name, value in request.items():
        if value is None:
            continue
        try:
            admitted[name if type(name) is str else str.__str__(name)] = admit[name](value)
        except KeyError:
            if len(problems) < _MOST_NAMED:
                problems.append(_unknown(plan, name))
            else:
                more += 1
        except ValueError as problem:
            problems.append(_placed(name, str(problem)))
    if more:
        problems.append(f"{more:,} more names are unknown")
    problems += _completed(plan, admitted)
    if not plan.required <= admitted.keys():
        problems.extend(f"`{name}` is required" for name in plan.attributes if name in plan.required - admitted.keys())
    if "prompt" in admitted and "messages" in admitted:
        problems.append("give `prompt` or `messages`, not both")
    if problems:
        raise RequestError(tuple(problems))
    return admitted


def _examine_params(plan: Plan, admitted: dict[str, Value]) -> list[str]:
    params: Mapping[str, Value] = admitted["params"]
    problems: list[str] = []
    if not PASSING.issuperset(params):
        problems += islice(_steering_params(admitted, plan.admitted_params), _MOST_NAMED)
    if not _LIMITS.isdisjoint(params):
        problems += _read_limits(plan.attributes, admitted)
    return problems


def _steering_params(admitted: Mapping[str, Value], open_to: frozenset[str]) -> Iterator[str]:
    """Refuse parameters that would decide again what the policies decide: they would be sent unseen."""
    params: Mapping[str, Value] = admitted["params"]
    for name, value in params.items():
        if len(name) > LONGEST_NAME:
            yield f"`params` holds a name of more than {LONGEST_NAME} characters"
            continue
        row = steering(name)
        if row is not None and name not in open_to:
            yield f"`params` must not hold `{name}`; {advice(name, row)}"
            continue
        if row is not None and row.uncounted and "prompt_tokens" not in admitted:
            yield f"`params.{name}` adds text that nobody can count; give `prompt_tokens` with it"
        if type(value) is dict or type(value) is list:
            for path, inner in steering_inside(name, value, open_to):
                yield f"`params` must not hold `{path}`; {advice(path, inner)}"


def _read_limits(attributes: Mapping[str, RequestAttribute], admitted: dict[str, Value]) -> Iterator[str]:
    """Bring the output limit, whatever its name, to the attribute that rules read, so that it passes none unseen."""
    params: Mapping[str, Value] = admitted["params"]
    first = OUTPUT_LIMIT
    for name in OUTPUT_LIMIT_NAMES:
        if params.get(name) is None:
            continue
        try:
            limit = attributes[OUTPUT_LIMIT].admit(params[name])
        except ValueError as problem:
            yield f"`params.{name}` {problem}"
        else:
            if OUTPUT_LIMIT not in admitted:
                admitted[OUTPUT_LIMIT], first = limit, f"params.{name}"
            elif (other := admitted[OUTPUT_LIMIT]) != limit:
                yield f"`params.{name}` is {limit} and `{first}` {other}; give the output limit once"


def _placed(name: str, problem: str) -> str:
    """Say what is wrong with an attribute, or at which place inside it."""
    if not problem.startswith((".", "[")):
        return f"`{name}` {problem.lstrip()}"
    place, _, rest = problem.partition(" ")
    return f"`{name}{place}` {rest}"


def _unknown(plan: Plan, name: object) -> str:
    from difflib import get_close_matches

    close = get_close_matches(str(name), plan.attributes, n=1, cutoff=0.6)
    hint = f"; did you mean `{close[0]}`?" if close else "; declare it under `attributes` of the policy set"
    return f"unknown attribute `{name}`{hint}"


_MODALITIES: Final = {"image": "vision", "audio": "audio_input", "audio_output": "audio_output", "file": "file_input"}
_MEDIA: Final = {"image": "vision", "audio": "audio_input"}
"""Kinds of media in messages, and what a model that reads them can do."""
_FILES: Final = frozenset({"file", "input_file"})
"""Types of parts with a file. Documents need nothing: each model of the providers that have them reads them."""
_INSIDE: Final = frozenset({KeyKind.PARTS, KeyKind.CALLS, KeyKind.ENTRY, KeyKind.MEDIA})
"""Places in which there may be further parts."""

_ASKING: Final = frozenset({"messages", "tools", "modalities", "response_format"})
_NONE: Final[frozenset[str]] = frozenset()


def needs_of(request: Mapping[str, Value]) -> frozenset[str]:
    """Return the capabilities that the request needs: tools, modalities beyond text, a structured answer.

    What is not known is a need that no model meets, never one that is passed over.
    """
    if _ASKING.isdisjoint(request):
        return _NONE  # a bare prompt, as most requests are
    needs = {_MODALITIES.get(item, item) for item in request.get("modalities", ()) if item != "text"}
    needs.update(_media_needs(request.get("messages", ())))
    if request.get("tools"):
        needs.add("tools")
    form = request.get("response_format")
    kind = form.get("type") if isinstance(form, dict) else form
    if form is not None and kind != "text":
        needs.add("json_mode" if kind == "json_object" else "json_schema")
    return frozenset(needs)


def _media_needs(messages: Iterable[Any]) -> Iterator[str]:
    """Yield what is needed for each image, clip and file of messages, in the shapes of all providers.

    The arguments of tools are not looked into: what they call an image may be anything.
    """
    rest = [message for message in messages if not _is_plain(message)]
    while rest:
        item = rest.pop()
        if isinstance(item, list | tuple):
            rest.extend(item)
        elif isinstance(item, Mapping):
            kind = media_kind(item)
            if kind is None:
                yield from _under_keys(item, rest)
            elif kind in _MEDIA:
                yield _MEDIA[kind]
            elif item["type"] in _FILES:
                yield "file_input"


def _under_keys(item: Mapping[Any, Any], rest: list[Any]) -> Iterator[str]:
    """Yield what the values of a message or part need by their keys; those that hold further parts join ``rest``."""
    for key, value in item.items():
        place = KEY_KINDS.get(key) if type(key) is str else None
        if place is KeyKind.MEDIA and value and (found := media_of_key(key, value)) in _MEDIA:
            yield _MEDIA[found]
        elif place in _INSIDE:
            rest.append(value)


def _is_plain(message: Any) -> bool:
    return type(message) is dict and len(message) == 2 and type(message.get("content")) is str


GIVEN: Final = "request"
"""Basis of a token count that the caller gave."""
_ASIDE: Final = frozenset({"messages", "tools", "response_format"})
"""What a model reads besides a prompt and a system text."""


def content_of(request: Mapping[str, Value], max_output_tokens: int) -> Content:
    """Return what rewrites work on. The output limit is a parameter like any other; the default stands in for it.

    It is there under our name and under those that the request gave it, with one value: ``admit_request`` saw to that.
    """
    limit, params = request.get(OUTPUT_LIMIT, max_output_tokens), request.get("params")
    params = {OUTPUT_LIMIT: limit} if not params else _with_limit(params, limit)
    messages, tools = request.get("messages"), request.get("tools")
    talk = None if messages is None else tuple(messages)
    return Content(request.get("prompt"), talk, params, None, tuple(tools) if tools else None)


def _with_limit(given: Mapping[str, Value], limit: Value) -> dict[str, Value]:
    params = dict(given)
    for name in OUTPUT_LIMIT_NAMES:
        if name in params and params[name] is None:
            del params[name]
    params[OUTPUT_LIMIT] = limit
    return params


def count_request(content: Content, request: Mapping[str, Value], tokenizer: Tokenizer) -> tuple[int, str]:
    """Return the tokens of all that the model reads, and their basis.

    That is the prompt or the messages, the system text, the tools, and the schema of the answer.
    """
    prompt, system = content.prompt, content.system
    aside = texts_of(content.params) if len(content.params) > 1 else ()
    if prompt is not None and not aside and SYSTEM not in content.params and _ASIDE.isdisjoint(request):
        written = 0 if system is None else _written(tokenizer.count, system)
        return tokenizer.count(prompt) + written, tokenizer.name
    tally = TokenCounter(tokenizer)
    total = content_tokens(content, tally) + tally.tools(content.tools)
    total += tally.form(request.get("response_format"))
    total += sum(map(tally.value, aside))
    return total, tally.basis


def verified(plan: Plan, request: dict[str, Value]) -> tuple[int, str] | None:
    """Raise ``prompt_tokens`` of a request to what its texts have, where a caller says less; return that count.

    The claim of the caller stays where it is larger, and where there is none, none is made: None is returned then.
    """
    if "prompt_tokens" not in request:
        return None
    counted = count_request(content_of(request, plan.defaults.max_output_tokens), request, plan.tokenizer)
    request["prompt_tokens"] = max(request["prompt_tokens"], counted[0])
    return counted


@lru_cache(256)
def _written(count: Callable[[str], int], text: str) -> int:
    """Count the system text of a prompt. It is one that a policy wrote, the same for many requests."""
    return count(text)


def same_texts(one: Content, other: Content) -> bool:
    """Say whether two contents share their texts as objects, as rewrites leave them where they change nothing."""
    return (
        one.prompt is other.prompt
        and one.messages is other.messages
        and one.system is other.system
        and one.tools is other.tools
        and one.params.get(SYSTEM) is other.params.get(SYSTEM)
        and (one.params is other.params or texts_of(one.params) == texts_of(other.params))
    )
