"""Reading usage from whatever holds it: dicts, objects of SDKs, whole responses and their events."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from itertools import islice
from typing import Any, Final, NamedTuple

from costlens_policy.catalogue import BUCKETS, Usage
from costlens_policy.usage.buckets import Bucketed, counts_of, settled
from costlens_policy.usage.learned import known, learn
from costlens_policy.usage.names import BY_MODEL, HEADERS, TELEMETRY, TIERED, role_of
from costlens_policy.usage.numbers import Fields, count, fields_of, has_fields, items_of, numbers, shown, snake
from costlens_policy.usage.reported import USUAL_TERMS, Reported, ServiceTerms, UsageError, added
from costlens_policy.usage.tool_uses import COUNTING, uses_in

__all__ = ["SHAPES", "Shape", "read_usage", "usage_fields"]

_AROUND: Final = (
    "usage", "usageMetadata", "usage_metadata", "Usage", "meta", "meta_info", "token_usage", "tokenUsage",
    "usage_details", "amazon-bedrock-invocationMetrics",
)  # fmt: skip
"""Names under which a response holds its usage."""
_FURTHER: Final = (
    "response", "message", "result", "body", "metadata", "response_metadata", "llm_output", "additional_kwargs", "raw",
    "x_groq", "data", "metrics", "replies", "ResponseMetadata", "HTTPHeaders",
)  # fmt: skip
"""Names under which an event, a batch's line or a framework's message holds the response."""
_MOST_PLACES: Final = 20
_MODEL_NAMES: Final = ("model", "modelVersion", "model_version", "gen_ai.response.model")
_TIER_NAMES: Final = (
    "service_tier", "serviceTier", "trafficType", "traffic_type", "gen_ai.openai.response.service_tier",
    "openai.response.service_tier",
)  # fmt: skip
_TRAFFIC: Final = {"on_demand": None, "on_demand_flex": "flex", "on_demand_priority": "priority"}
"""Vertex AI's types of traffic, as tiers."""
_LONGEST_WORD: Final = 60
_UNREADABLE: Final = "unreadable"
_BILLED: Final = ("input_tokens", "output_tokens", "image_tokens")
_NOT_BILLED: Final = ("tokens.", "cached_tokens")
_PREFIXED: Final = ("opentelemetry", "cohere")
_OWN_ITERATION: Final = "message"
"""The type of an iteration that top-level counts include, so that a model's name in it is the call's own."""


class Shape(NamedTuple):
    """``named_by`` are names of which one is enough, several where joined by ``+``.

    ``inside`` says that caches are part of the prompt, whatever their names say.
    """

    named_by: tuple[str, ...]
    inside: bool = False


SHAPES: Final[dict[str, Shape]] = {
    "opentelemetry": Shape(TELEMETRY, inside=True),
    "litellm": Shape(("prompt_tokens+cache_creation_input_tokens", "prompt_tokens+cache_read_input_tokens"), True),
    "perplexity": Shape(("citation_tokens", "num_search_queries"), inside=True),
    "openai-chat": Shape(("prompt_tokens", "completion_tokens"), inside=True),
    "gemini": Shape(("promptTokenCount", "prompt_token_count", "candidates_token_count", "total_input_tokens")),
    "cohere": Shape(("billed_units", "tokens")),
    "ollama": Shape(("prompt_eval_count", "eval_count")),
    "langchain": Shape((
        "input_token_details.cache_read", "input_token_details.cache_creation", "input_token_details.audio",
        "output_token_details.reasoning", "output_token_details.audio",
    )),
    "openai-realtime": Shape(("input_token_details", "output_token_details")),
    "claude-agent-sdk": Shape(("costUSD", "webSearchRequests", "cacheCreationInputTokens")),
    "vercel-ai-sdk": Shape((
        "cachedInputTokens", "reasoningTokens", "inputTokenDetails", "input_tokens.total", "promptTokens",
    )),
    "bedrock": Shape(("inputTokens", "outputTokens", "inputTokenCount", "input_token_count", "inputTextTokenCount")),
    "openai-responses": Shape(("input_tokens_details", "input_tokens+total_tokens")),
    "anthropic": Shape(("input_tokens", "output_tokens")),
    "other": Shape(("prompt", "answer", "total", "apart")),
}  # fmt: skip
"""Shapes by name, the narrower ones first. A usage is read by all its names; its shape is what it is called in notes
and facts, and may be named where the names do not say whose usage it is."""

_ANSWER: Final = ("output", "reasoning", "output_audio", "output_image")
_PROMPT: Final = tuple(bucket for bucket in BUCKETS if bucket not in _ANSWER)
_ELSEWHERE: Final = frozenset((*_AROUND, *BY_MODEL, "usage_breakdown", "modelVersion", "model_version"))
_WHOLES: Final = frozenset({"prompt_tokens", "input_tokens", "promptTokenCount", "inputTokens", "prompt_token_count"})
_ANSWERS: Final = frozenset({
    "message", "messages", "content", "response", "generation", "generated_text", "embedding", "embeddings", "context",
    "logprobs", "completion_probabilities", "generation_settings", "tokens", "outputs", "tool_calls",
})  # fmt: skip
"""What a response that is no usage, but reports tokens itself, as Ollama's does, holds of the answer and of how it was
made. Numbers in it are arguments of tools, ids of tokens or vectors."""
_ANSWERED: Final = _ANSWERS - {"tokens", "tool_calls", "context", "outputs"}
"""Those which no usage has."""
_NO_USAGE: Final = _ELSEWHERE | _ANSWERED
_TERM_NAMES: Final = frozenset((*_TIER_NAMES, "inference_geo", "speed"))
_SIDES: Final = (("input_tokens", "output_tokens"), ("total_tokens",))
_MOST_KNOWN: Final = 1_024
_KNOWN_SHAPES: Final[dict[tuple[str, ...], str]] = {}


def read_usage(value: Any, shape: str | None = None) -> Reported:
    """Return the usage in a provider's usage object, or in a response, an event or a framework's message with one.

    ``value`` is a mapping, or an object of an SDK. ``shape`` is one of ``SHAPES``; without it the names
    decide. Raises ``UsageError`` for what reports no tokens, or cannot be read.
    """
    if shape is not None and shape not in SHAPES:
        raise UsageError(f"unknown shape `{shape}`; known are {', '.join(SHAPES)}")
    held = value if type(value) is dict else getattr(value, "__dict__", None)
    if type(held) is dict and not _WHOLES.isdisjoint(held) and _NO_USAGE.isdisjoint(held):  # the usage itself
        fields = held if held is value else fields_of(value)
        if type(fields) is dict and _NO_USAGE.isdisjoint(fields):
            terms = USUAL_TERMS if _TERM_NAMES.isdisjoint(fields) else _own_terms(fields)
            reported = _read(fields, shape, terms, _answered(fields.get) if "model" in fields else None)
            if COUNTING.isdisjoint(fields):
                return reported
            return reported._replace(tool_uses=uses_in(None, fields, reported, _asking))
    ask = _asking(value)
    around = fields_of(_held(value, ask))
    fields = _of_usage(around, embeds=ask("embeddings") is not None)
    by_model, terms = _by_model(ask, fields), _terms(fields.get, ask)
    answered = _answered(ask)
    if by_model is None:
        reported = _read(fields, shape, terms, answered)
    else:
        reported = _read_models(by_model, fields, shape, terms)._replace(answered=answered)
    if reported.unknown > reported.usage.tokens and not _ANSWERED.isdisjoint(around):
        raise UsageError(f"most of what may be tokens in this response is unknown: {reported.notes[0]}")
    reported = _with_tools(reported, ask)
    uses = uses_in(value, fields, reported, _asking)
    return reported if uses is None else reported._replace(tool_uses=uses)


def usage_fields(value: Any) -> Fields:
    """Return the fields of a mapping or of an SDK's object. Raises ``UsageError`` for what has none."""
    return fields_of(value)


def _of_usage(fields: Fields, *, embeds: bool) -> Fields:
    """Return the fields that may be usage: not the answer beside it, and no null for the answer of an embedding."""
    if not _ANSWERED.isdisjoint(fields):
        fields = {name: item for name, item in fields.items() if name not in _ANSWERS}
    if embeds:
        billed = fields.get("billed_units")
        fields = {name: item for name, item in fields.items() if item is not None}
        if has_fields(billed):
            fields["billed_units"] = {name: item for name, item in fields_of(billed).items() if item is not None}
    return fields


def _with_tools(reported: Reported, ask: Callable[[str], Any]) -> Reported:
    """Add what the provider's tools used, which OpenAI's responses report beside the usage, without the models.

    Source: ``tool_usage`` in OpenAI's API reference (responses).
    """
    used = ask("tool_usage")
    for name in ("response", "body"):  # an event, or the line of a batch
        if used is None and (inner := ask(name)) is not None:
            ask = _asking(inner)
            used = ask("tool_usage")
    if not has_fields(used):
        return reported
    unknown, notes = reported.unknown, list(reported.notes)
    for name, item in fields_of(used).items():
        found, _ = numbers({name: item})
        tokens = {path: count(path, number) for path, number in found.items() if "token" in path and number}
        sides = (sum(number for path, number in tokens.items() if path.endswith(end)) for end in _SIDES)
        unknown += (most := max((*sides, *tokens.values()), default=0))
        if most:
            notes.append(f"`tool_usage.{shown(snake(str(name)))}` is {most:,} tokens; they count at the highest rate")
        apart = {path: number for path, number in found.items() if "token" not in path and number}
        notes += [
            f"`tool_usage.{shown(path)}` is {str(apart[path])[:20]}, which has no price by tokens" for path in apart
        ]
    return reported._replace(unknown=unknown, notes=tuple(notes))


def _asking(value: Any) -> Callable[[str], Any]:
    """Return what gives a field of a mapping or an SDK's object, None where it has none of that name."""
    if isinstance(value, Mapping):
        return value.get
    kind: Any = type(value)
    of_class = _names_of(kind)
    if of_class is None:
        return lambda name: getattr(value, name, None)
    held, further = getattr(value, "__dict__", {}), getattr(value, "__pydantic_extra__", None) or {}
    return lambda name: getattr(value, name, None) if name in of_class or name in further else held.get(name)


@lru_cache(maxsize=256)
def _names_of(kind: type) -> frozenset[str] | None:
    """Return what objects of a class have beside what each holds; None where they may have any name.

    A name that an object of pydantic's does not have takes it a while to deny, and many are asked for.
    """
    plain = {"__getattribute__": getattr(object, "__getattribute__", None), "__getattr__": None}
    for name, usual in plain.items():
        found = getattr(kind, name, None)
        if found is not usual and getattr(found, "__module__", "") != "pydantic.main":
            return None
    return frozenset(name for base in kind.__mro__ for name in vars(base))


def _held(value: Any, ask: Callable[[str], Any]) -> Any:
    """Return the usage that a value holds, however far inside; the value where it holds none.

    Not more than some places are looked into: there are objects that have a field of every name.
    """
    places = [value]
    for place in places:
        look = ask if place is value else _asking(place)
        for name in _AROUND:
            if not has_fields(found := _only(look(name))):
                continue
            fields = fields_of(found)
            if has_fields(inner := fields.get("usage")):  # what Haystack says about an answer
                return inner
            if any(item is not None for item in fields.values()):
                return fields
        if _has_tokens(place):
            return place
        further = (found for name in _FURTHER if has_fields(found := _only(look(name))))
        places += islice(further, max(_MOST_PLACES - len(places), 0))
    return value


def _only(value: Any) -> Any:
    """Return the one item of a list, and all else as it is."""
    return value[0] if type(value) is list and len(value) == 1 else value


def _has_tokens(value: Any) -> bool:
    """Return whether something reports tokens itself."""
    if not has_fields(value):
        return False
    return any(role_of(snake(str(name))) in ("prompt", "answer", "total") for name in fields_of(value))


def _read(fields: Fields, shape: str | None, terms: ServiceTerms, answered: str | None = None) -> Reported:
    """Read one usage: as others of its shape were read, or by all its names."""
    if type(fields) is dict:
        for learned in known(shape, fields):
            usage = learned.read(fields)
            if usage is not None:
                tells = learned.tells_reasoning
                return Reported(usage, learned.shape, terms, answered=answered, tells_reasoning=tells)
    return _read_all(fields, shape, terms, answered)


def _read_all(fields: Fields, shape: str | None, terms: ServiceTerms, answered: str | None = None) -> Reported:
    """Read one usage by all its names, with the iterations that it may list, and keep how it is read."""
    elsewhere = [name for name in BY_MODEL if name in fields and has_fields(fields[name])]
    found, empty = numbers(fields, ("iterations", *elsewhere))
    if any(path.startswith(HEADERS) for path in found):
        found = _of_headers(found)
    name = shape or _shape(fields, found)
    if name in _PREFIXED:
        found = _of_provider(found)
    own, others = _iterations(fields) if "iterations" in fields else (None, ())
    tells = _tells_reasoning(name, found)
    if own is None or any(found.values()):
        counts = counts_of(found, inside=SHAPES[name].inside)
        read = settled(counts, empty)
        if name not in _PREFIXED and type(fields) is dict:
            learn(shape, fields, name, frozenset(counts.beside), tells_reasoning=tells)
    else:
        read = Bucketed(Usage(), 0, ())
    if own is not None:
        read = _larger(read, own)
    if name == "langchain" and terms.tier is None:
        terms = terms._replace(tier=next((tier for tier in TIERED if _names_tier(found, tier)), None))
    searches, fetches = (_requests(found, what) for what in ("web_search_requests", "web_fetch_requests"))
    notes = tuple(dict.fromkeys(read.notes))
    return Reported(read.usage, name, terms, searches, fetches, others, read.unknown, answered, notes, tells)


def _tells_reasoning(shape: str, found: Mapping[str, Any]) -> bool:
    """Return whether reasoning is counted apart from other output. Gemini leaves out what there is none of."""
    return shape == "gemini" or any(role_of(path) == "reasoning" for path in found)


def _of_headers(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return what headers count, which can say it in texts alone."""
    counted = {path.removeprefix(HEADERS): item for path, item in found.items() if path.startswith(HEADERS)}
    return {name: int(item) if isinstance(item, str) and item.isdecimal() else item for name, item in counted.items()}


def _of_provider(found: dict[str, Any]) -> dict[str, Any]:
    """Return the numbers that are usage, where other ones stand beside them."""
    if any(path.startswith(TELEMETRY) for path in found):  # attributes of a span, most of which are none
        origins = {path: next((whose for whose in TELEMETRY if path.startswith(whose)), "") for path in found}
        kept = [(path, whose) for path, whose in origins.items() if whose or role_of(path) not in (None, "none")]
        return {_attribute(path.removeprefix(whose)): found[path] for path, whose in kept}
    if any(found.get(f"billed_units.{name}") for name in _BILLED):  # what Cohere bills; it counts more than that
        return {path: item for path, item in found.items() if not path.startswith(_NOT_BILLED)}
    return {path.removeprefix("tokens."): item for path, item in found.items()}


def _attribute(name: str) -> str:
    """Return the name of an attribute as others write it: ``input_tokens.cached``, ``prompt_details.cache_read``."""
    return name.removeprefix("details.")


def _names_tier(found: Mapping[str, Any], tier: str) -> bool:
    """Return whether LangChain names a tier in the details of OpenAI's usage: `input_token_details.flex_cache_read`."""
    details = (path.rpartition(".")[2] for path, tokens in found.items() if "_details." in path and tokens)
    return any(last == tier or last.startswith(f"{tier}_") for last in details)


def _requests(found: Mapping[str, Any], what: str) -> int:
    number = found.get(f"server_tool_use.{what}", found.get(what, 0))
    return number if type(number) is int else 0


def _shape(fields: Fields, found: Mapping[str, Any]) -> str:
    """Return the shape that the names are of. Raises ``UsageError`` where they are of none.

    Names of nulls do not count, as long as others are enough: a table of usages of several providers has all their
    names in each row.
    """
    names = (*(str(name) for name, item in fields.items() if not _is_empty(item)), *found)
    known = _KNOWN_SHAPES.get(names)
    if known is None:
        try:
            known = _shape_of(names, found)
        except UsageError:
            names = (*map(str, fields), *found)
            known = _shape_of(names, found)
        if len(_KNOWN_SHAPES) < _MOST_KNOWN and len(names) < 60:
            _KNOWN_SHAPES[names] = known
    return known


def _is_empty(item: Any) -> bool:
    """Return whether a value is null, or holds nothing but nulls, as what a row of a table lacks does."""
    return item is None or (type(item) is dict and bool(item) and all(map(_is_empty, item.values())))


def _shape_of(names: tuple[str, ...], found: Mapping[str, Any]) -> str:
    present = {*names, *(path.partition(".")[0] for path in found), *(role_of(path) for path in found)}
    for name, shape in SHAPES.items():
        if name == "opentelemetry":
            if any(raw.startswith(TELEMETRY) for raw in names):
                return name
        elif any(present.issuperset(joined.split("+")) for joined in shape.named_by):
            return name
    raise UsageError("this is no usage object of a known shape; name one with `shape`")


def _iterations(fields: Fields) -> tuple[Bucketed | None, tuple[tuple[str, Usage], ...]]:
    """Return the sum of what Anthropic did on the call's own model, and what it asked of others.

    What is billed is the sum of all iterations; top-level counts leave out some, such as those of a compaction.
    """
    own: list[Bucketed] = []
    others = []
    for item in items_of(fields.get("iterations"), "iterations"):
        read = _read_item(item)
        model, kind = item.get("model"), item.get("type")
        if isinstance(model, str) and kind != _OWN_ITERATION:
            others.append((_word(model), _with_unknown(read)))
        else:
            own.append(read)
    return (_sum(own) if own else None), tuple(others)


def _read_item(item: Fields) -> Bucketed:
    found, empty = numbers(item)
    return settled(counts_of(found), empty) if any(found.values()) else Bucketed(Usage(), 0, ())


def _with_unknown(read: Bucketed) -> Usage:
    """Return a usage with what is not known of it as output, which is what costs most as a rule."""
    if not read.unknown:
        return read.usage
    return added(read.usage, Usage(output=read.unknown))


def _sum(reads: list[Bucketed]) -> Bucketed:
    usage, unknown, notes = Usage(), 0, list[str]()
    for read in reads:
        usage, unknown = added(usage, read.usage), unknown + read.unknown
        notes += read.notes
    return Bucketed(usage, unknown, tuple(notes))


def _larger(whole: Bucketed, parts: Bucketed) -> Bucketed:
    """Return the sum of the parts; on each side where the whole counts as many tokens or more, the whole."""
    chosen, notes = dict[str, int](), [*whole.notes, *parts.notes]
    for side in (_PROMPT, _ANSWER):
        counted, summed = (sum(getattr(read.usage, bucket) for bucket in side) for read in (whole, parts))
        if counted > summed:
            notes.append(f"its iterations are {summed:,} tokens where the whole is {counted:,}; the larger counts")
        better = whole if counted >= summed else parts
        chosen |= {bucket: getattr(better.usage, bucket) for bucket in side}
    return Bucketed(Usage(**chosen), max(whole.unknown, parts.unknown), tuple(notes))


def _by_model(ask: Callable[[str], Any], fields: Fields) -> Fields | None:
    """Return usages by the name of the model, where they are reported so."""
    for name in BY_MODEL:
        for found in (ask(name), fields.get(name)):
            if has_fields(found) and fields_of(found):
                return fields_of(found)
    breakdown = ask("usage_breakdown")  # Groq's compound systems
    if has_fields(breakdown):
        listed = items_of(fields_of(breakdown).get("models"), "usage_breakdown.models")
        return {str(item.get("model")): item.get("usage") for item in listed} or None
    if fields and all(has_fields(item) and _has_tokens(item) for item in fields.values()) and not _has_tokens(fields):
        names = [snake(str(name)) for name in fields]
        return None if any(name in ("tokens", "billed_units") for name in names) else fields
    return None


def _read_models(by_model: Fields, fields: Fields, shape: str | None, terms: ServiceTerms) -> Reported:
    """Read usages by model. What a usage around them counts beyond their sum is the call's own."""
    others, notes, searches, tells = [], list[str](), 0, True
    for name, inner in by_model.items():
        read = _read(fields_of(inner), None, ServiceTerms())
        others.append((_word(str(name)), _with_unknown(Bucketed(read.usage, read.unknown, ()))))
        others += read.other_models
        notes += [f"`{shown(str(name))}`: {note}" for note in read.notes]
        searches += read.web_searches
        tells = tells and read.tells_reasoning
    own = Usage()
    if fields is not by_model and _has_tokens(fields):
        around = _read(fields, shape, terms)
        own, notes = _remainder(around.usage, [usage for _, usage in others]), [*notes, *around.notes]
        tells = tells and (around.tells_reasoning or not own.output)
        if own.tokens:
            notes.append("its usages by model are fewer tokens than the usage around them; the larger counts")
    label = shape or "by-model"
    noted = tuple(dict.fromkeys(notes))
    return Reported(own, label, terms, searches, 0, tuple(others), notes=noted, tells_reasoning=tells)


def _remainder(whole: Usage, parts: list[Usage]) -> Usage:
    return Usage(**{
        bucket: max(getattr(whole, bucket) - sum(getattr(part, bucket) for part in parts), 0) for bucket in BUCKETS
    })  # fmt: skip


def _answered(ask: Callable[[str], Any]) -> str | None:
    """Return the name of the model that a response, or the one inside an event, says it is from."""
    for inner in (None, "response", "message"):
        holder = ask if inner is None else _asking(ask(inner))
        for name in _MODEL_NAMES:
            if isinstance(found := holder(name), str) and found:
                return _word(found)
    return None


def _own_terms(fields: dict[str, Any]) -> ServiceTerms:
    """Return the terms that a usage states itself. Most state one tier, and where it was served."""
    tier, geo = fields.get("service_tier"), fields.get("inference_geo")
    words = (tier, geo or "")
    if fields.get("speed") is None and all(type(word) is str and len(word) < _LONGEST_WORD for word in words):
        return _plain_terms(tier, geo or None)
    return _terms(fields.get)


@lru_cache(maxsize=256)
def _plain_terms(tier: str, geo: str | None) -> ServiceTerms:
    return _terms({"service_tier": tier, "inference_geo": geo}.get)


def _terms(*asks: Callable[[str], Any]) -> ServiceTerms:
    """Return on what terms a call was served, from the usage or beside it."""
    tier = geo = speed = None
    for ask in asks:
        for name in _TIER_NAMES:
            if tier is None and (found := ask(name)) is not None:
                tier = _tier(found) or None
        if geo is None and isinstance(found := ask("inference_geo"), str):
            geo = _word(found)
        if speed is None and isinstance(found := ask("speed"), str):
            speed = _word(found)
    return ServiceTerms(tier, geo, speed) if tier or geo is not None or speed is not None else USUAL_TERMS


def _tier(found: Any) -> str | None:
    if found is None:
        return None
    if isinstance(found, Mapping):  # as Bedrock writes it
        found = found.get("type")
    found = getattr(found, "value", found)  # an enumeration in Gemini's SDK
    if not isinstance(found, str):
        return None
    word = _word(found)
    return _TRAFFIC.get(word.lower(), word)


def _word(text: str) -> str:
    """Return a provider's word as it can be written down: one that cannot be, or is no word, is unreadable."""
    if len(text) <= _LONGEST_WORD * 2 and (text.isascii() or text.isprintable()):
        return str(text)
    return _UNREADABLE
