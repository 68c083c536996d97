"""Names of versions: which model of a catalogue a dated, prefixed or regional name means.

Providers, gateways and clouds write one model in many ways: ``gpt-4o-2024-08-06``, ``claude-3-5-sonnet-latest``,
``claude-3-5-sonnet@20240620`` (Vertex AI), ``us.anthropic.claude-sonnet-4-20250514-v1:0`` (Bedrock),
``models/gemini-2.5-flash``, ``ft:gpt-4o-mini-2024-07-18:org::id``. A name that is not in a catalogue means the one
model there that has the same name up to such spelling, or, without that, up to the date.

Nothing is guessed: a name that could mean two models, or another provider's, means none. A dated entry never answers
for another date, a base never for what was fine-tuned from it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final, Generic, Protocol, TypeAlias, TypeVar

from costlens_policy.frozen import frozen

__all__ = ["LATEST", "Spelling", "Versions", "matches", "provider_named", "spelling"]

_MOST_KEPT: Final = 4_096
_MOST_CHARACTERS: Final = 500

_PROVIDERS: Final[Mapping[str, tuple[str, ...]]] = {
    "anthropic": (),
    "aws": ("bedrock", "amazon", "amazon-bedrock", "amazon_bedrock", "aws-bedrock", "aws.bedrock", "bedrock_converse",
            "bedrock_mantle", "sagemaker"),
    "azure": ("azure_ai", "azure-ai", "azure_openai", "azure-openai", "azure_text", "az.ai.openai", "az.ai.inference",
              "azure.ai.openai", "azure.ai.inference"),
    "cohere": ("cohere_chat",),
    "fireworks": ("fireworks_ai", "fireworks-ai"),
    "google": ("gemini", "vertex_ai", "vertex-ai", "vertexai", "vertex", "google-vertex", "google_vertexai",
               "google_genai", "google-genai", "google-gla", "google-ai-studio", "gcp.gemini", "gcp.vertex_ai",
               "gcp.gen_ai", "vertex_ai_beta"),
    "mistral": ("mistralai", "mistral_ai", "codestral"),
    "openai": ("text-completion-openai", "openai-responses", "openai-chat"),
    "openrouter": (),
    "perplexity": ("perplexity-ai",),
    "together": ("together_ai", "togetherai", "together-ai"),
    "x-ai": ("xai", "x_ai", "grok"),
}  # fmt: skip
"""Providers that frameworks call by other names: the words of LiteLLM, LangChain, pydantic-ai and OpenTelemetry."""
_NAMED: Final = {word: own for own, words in _PROVIDERS.items() for word in (own, *words)}
_MAKERS_OWN: Final = frozenset(
    {"anthropic", "aws", "azure", "cohere", "google", "mistral", "openai", "x-ai", "deepseek"}
)
"""Providers whose names of models have no slash of their own, so that all before the last one leads to the model."""

_REGION: Final = re.compile(r"(?:us|eu|ap|apac|au|jp|ca|sa|in|us-gov|regional)\.(?=[a-z0-9]+\.)")
_VENDOR: Final = re.compile(
    r"(?:global\.)?(?:ai21|amazon|anthropic|cohere|deepseek|google|luma|meta|minimax|mistral|moonshotai|nvidia|openai"
    r"|qwen|stability|twelvelabs|writer|zai)\.[a-z]"
)
_REVISION: Final = re.compile(r"-v[0-9]+(?::[0-9]+)?$")
_DAY: Final = r"(?P<year>20[0-9]{2})-?(?P<month>0[1-9]|1[0-2])-?(?P<day>0[1-9]|[12][0-9]|3[01])"
_DATED: Final = re.compile(rf"[-@]{_DAY}$")
_PREVIEW: Final = re.compile(r"(?<=-preview)-(?P<preview>[01][0-9]-(?:[0-3][0-9]|20[0-9]{2}))$")
_NUMBERED: Final = re.compile(r"(?<=[a-z])-(?P<number>00[1-9])$")
_NEWEST: Final = re.compile(r"[-@:](?:latest|default)$")
LATEST: Final = "latest"
_ZERO: Final = re.compile(r"(?<=-[0-9])-0$")
_POINT: Final = re.compile(r"(?<=[0-9])\.(?=[0-9])")
_TUNED: Final = re.compile(r"(?P<base>.+)\.ft-[^/]*$")


@frozen
class Spelling:
    """A name taken apart.

    ``provider`` is empty where the name has none, ``version`` where it has no date; ``latest`` stands for itself.
    """

    provider: str
    stem: str
    version: str = ""


class Named(Protocol):
    """A model, as far as its names go."""

    @property
    def name(self) -> str: ...
    @property
    def aliases(self) -> Iterable[str]: ...
    @property
    def provider(self) -> str | None: ...
    @property
    def other_versions(self) -> Iterable[str]: ...


N = TypeVar("N", bound=Named)
_Key: TypeAlias = tuple[str, str]
_Owned: TypeAlias = tuple[frozenset[str], N]
"""The providers that a model may be asked for at, and the model."""
_Index: TypeAlias = tuple[dict[_Key, list[_Owned[N]]], dict[str, list[_Owned[N]]], set[_Key]]
"""Models by stem and version, those of no date by their stem, and what is a model of its own."""


def provider_named(word: str) -> str:
    """Return the one name of a provider that frameworks call by several: ``google`` for ``vertex_ai``, ``gemini``, …"""
    word = word.strip().lower()
    return _NAMED.get(word, word)


def spelling(name: str) -> Spelling:
    """Take a name apart: provider, what stays of it when nothing but the model is named, and the date."""
    text = name.strip().lower()
    provider, text = _path(text)
    if provider in ("", "aws") and (regional := _REGION.match(text)):
        provider, text = "aws", text[regional.end() :]
    if provider == "" and _VENDOR.match(text):
        provider = "aws"
    if provider == "aws" and "anthropic." in text:
        text = _REVISION.sub("", text)
    if text.startswith("ft:"):
        # ft:base:organization:suffix:id, as OpenAI names what was trained on its models.
        return _of(provider or "openai", text[3:].partition(":")[0].rstrip("-"), "ft:")
    if tuned := _TUNED.fullmatch(text):
        return _of(provider, tuned["base"], "ft:")
    return _of(provider, text)


def _path(text: str) -> tuple[str, str]:
    """Return the provider that leads to the name, and the name."""
    if text.startswith("arn:aws"):
        return "aws", text.rpartition("/")[2]
    first, slash, rest = text.partition("/")
    if not slash:
        return "", text
    if first in ("models", "publishers", "projects", "tunedmodels"):
        return "google", text.rpartition("/")[2]
    provider = provider_named(first)
    return provider, rest.rpartition("/")[2] if provider in _MAKERS_OWN else rest


def _of(provider: str, text: str, before: str = "") -> Spelling:
    version = LATEST if (newest := _NEWEST.search(text)) else ""
    text = text[: newest.start()] if newest else text
    for pattern in (_DATED, _PREVIEW, _NUMBERED):
        if (found := pattern.search(text)) and (pattern is not _NUMBERED or text.startswith("gemini")):
            version = version or "-".join(part for part in found.groups() if part)
            text = text[: found.start()]
            break
    return Spelling(provider, before + _POINT.sub("-", _ZERO.sub("", text)), version)


class Versions(Generic[N]):
    """The models of a catalogue by what their names come to. Read when the first unknown name is looked up."""

    __slots__ = ("_known", "_models", "_read")

    def __init__(self, models: Iterable[N]) -> None:
        self._models = models
        self._read: _Index[N] | None = None
        self._known: dict[str, N | None] = {}

    def find(self, name: str) -> N | None:
        """Return the one model that a name means, or None. Answers are kept, up to a bound: callers choose names."""
        if name in self._known:
            return self._known[name]
        found = self._find(spelling(name)) if len(name) <= _MOST_CHARACTERS else None
        if len(self._known) >= _MOST_KEPT:
            self._known.clear()
        self._known[name] = found
        return found

    def _find(self, meant: Spelling) -> N | None:
        if self._read is None:
            self._read = _index(self._models)
        by_key, undated, apart = self._read
        key = (meant.stem, meant.version)
        if same := by_key.get(key):
            return _one(same, meant.provider)
        return None if key in apart else _one(undated.get(meant.stem, ()), meant.provider)


def _index(models: Iterable[N]) -> _Index[N]:
    by_key: dict[_Key, list[_Owned[N]]] = {}
    undated: dict[str, list[_Owned[N]]] = {}
    apart: set[_Key] = set()
    for model in models:
        own = provider_named(model.provider or "")
        for read in map(spelling, (model.name, *model.aliases)):
            owned = (frozenset((own, read.provider)), model)
            by_key.setdefault((read.stem, read.version), []).append(owned)
            if read.version in ("", LATEST):
                undated.setdefault(read.stem, []).append(owned)
        apart.update((read.stem, read.version) for read in map(spelling, model.other_versions))
    return by_key, undated, apart


def _one(found: Iterable[_Owned[N]], provider: str) -> N | None:
    """Return the model where it is one only, and no other provider's than the name says."""
    models = {id(model): model for providers, model in found if not provider or provider in providers}
    return next(iter(models.values())) if len(models) == 1 else None


def matches(pattern: str, text: str) -> bool:
    """Return whether the whole text fits the pattern; ``*`` stands for any text, also none, slashes included."""
    first, *middle = pattern.split("*")
    if not middle:
        return pattern == text
    last = middle.pop()
    end = len(text) - len(last)
    if not text.startswith(first) or not text.endswith(last) or end < len(first):
        return False
    position = len(first)
    for part in middle:
        found = text.find(part, position, end)
        if found < 0:
            return False
        position = found + len(part)
    return True
