"""Parameters of calls by what they mean: one row for one meaning, whatever providers and SDKs call it.

The border of requests, the operations of policies on parameters, the checks and the words of providers all read these
rows. A decision chooses the model, estimates and limits the output, redacts texts and counts them; a parameter that
decides one of these again would be sent unseen. So each such name is read as what it is, or refused with the name to
give instead; a policy set may admit some of them. What steers none of these passes, also what nobody knows yet: the
texts in it are counted, and maps in it are looked through for names that steer.

Names are compared without case and separators: ``extraBody`` is ``extra_body``, and providers written in Go read
``Model`` as ``model`` (``encoding/json`` folds the case of keys). Sources are the references of the APIs of OpenAI,
Anthropic, Gemini, Bedrock, Cohere, Mistral, xAI, OpenRouter, Ollama, vLLM and Azure OpenAI, and of LiteLLM's SDK.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterator, Mapping
from functools import lru_cache
from typing import Any, Final

from costlens_policy.frozen import frozen

__all__ = [
    "COMPLETIONS", "LONGEST_NAME", "NO_TEXTS", "NUMBERS", "OUTPUT_LIMIT", "OUTPUT_LIMIT_NAMES", "PASSING", "SYSTEM",
    "Steering", "advice", "canonical_parameter", "steering", "steering_inside", "texts_of",
]  # fmt: skip

OUTPUT_LIMIT: Final = "max_output_tokens"
OUTPUT_LIMIT_NAMES: Final = (OUTPUT_LIMIT, "max_tokens", "max_completion_tokens")
"""One parameter under the names that a request may give it."""
COMPLETIONS: Final = "n"
"""How many answers are asked for."""
SYSTEM: Final = "system"
"""The system text beside the messages, as Anthropic has it."""
LONGEST_NAME: Final = 100

NUMBERS: Final = frozenset({
    *OUTPUT_LIMIT_NAMES, COMPLETIONS, "temperature", "top_p", "top_k", "min_p", "presence_penalty", "frequency_penalty",
    "repetition_penalty", "top_logprobs", "seed", "random_seed", "thinking_budget", "budget_tokens", "max_tool_calls",
    "timeout",
})  # fmt: skip
"""Parameters that are numbers."""
NO_TEXTS: Final = NUMBERS | {
    "stop", "stop_sequences", "logit_bias", "logprobs", "tool_choice", "function_call", "parallel_tool_calls", "stream",
    "stream_options", "user", "reasoning", "reasoning_effort", "reasoning_format", "thinking", "thinking_config",
    "service_tier", "store", "metadata", "verbosity", "audio", "truncation", "prompt_cache_key",
    "prompt_cache_retention", "safety_identifier", "include", "background", "safety_settings", "betas",
    "anthropic_beta", "anthropic_version", "keep_alive", "response_mime_type", "labels",
    "model_armor_config", "moderation", "prompt_cache_options", "cache_control", "additionalModelResponseFieldPaths",
    "inference_geo", "speed", "performanceConfig", "performanceConfigLatency",
}  # fmt: skip
"""Parameters that pass as they are: no text of theirs reaches the model, as long as they are not long for one."""
_FREE_KEYS: Final = frozenset({"metadata", "labels", "logit_bias", "moderation"})
"""Those of them in which any name may stand: the provider keeps them, or reads them without the model."""
_LONGEST_SETTING: Final = 1000
"""Characters that all names and texts of a parameter without texts may have; a longer one is counted like a text."""
_SCHEMAS: Final = frozenset({
    "text", "format", "output_format", "output_config", "json_schema", "response_schema", "response_json_schema",
    "guided_json", "guided_regex", "guided_grammar", "grammar",
})  # fmt: skip
"""Parameters that describe the answer: the model reads them, and what they name are fields of the answer."""
PASSING: Final = NO_TEXTS | _SCHEMAS | {SYSTEM}
"""The known parameters that a request may have."""


@frozen
class Steering:
    """What parameters of one meaning decide again, and what to do ``instead`` of giving one.

    ``names`` stand without case and separators. ``admissible``: a policy set may let them through. ``inner``: they
    steer inside other parameters, too, where no other meaning is likely. ``holds``: what is inside are parameters.
    ``uncounted``: the model reads what is not in the request, so nobody but the caller can say how much it is.
    """

    names: str
    instead: str
    admissible: bool = True
    inner: bool = False
    holds: bool = False
    uncounted: bool = False


_ROWS: Final = (
    Steering("model prompt messages tools modalities responseformat", "pass it outside `params`", False, inner=True),
    Steering("responsemodalities outputmodalities", "pass `modalities` outside `params`", False, inner=True),
    Steering(
        "modelid modelname modeluri modelgroup modellist models basemodel engine engineid deployment deploymentid"
        " azuredeployment route fallbacks fallbackmodels defaultfallbacks contextwindowfallbacks"
        " contextwindowfallbackdict contentpolicyfallbacks provider providers customllmprovider preset agentid"
        " assistantid inferenceprofile adapterid adaptersource lora",
        "the policies choose the model; pass the one you want as `model`, outside `params`",
        inner=True,
    ),
    Steering(
        "maxoutputtokens maxtokens maxcompletiontokens maxtokenstosample maxnewtokens maxgenlen maxgeneratedtokens"
        " maxtokencount maxlength maxlen maxoutputlength numpredict npredict tokenstogenerate outputlength"
        " maxdecodesteps maxresponsetokens maxresponseoutputtokens maximumtokens",
        "pass the output limit as `max_output_tokens`",
        False,
        inner=True,
    ),
    Steering(
        "n bestof candidatecount numgenerations numcompletions numreturnsequences numresults numoutputs numcandidates"
        " numsamples numresponses samplecount completioncount",
        "pass the number of answers as `n`",
        False,
        inner=True,
    ),
    Steering("servicetier", "pass it as `service_tier`", False),
    Steering("inferencegeo", "pass it as `inference_geo`", False),
    Steering("speed", "pass it as `speed`", False),
    Steering("performanceconfig performanceconfiglatency", "pass it as `performanceConfig`", False),
    Steering("cachecontrol", "pass it as `cache_control`", False),
    Steering(
        "system systeminstruction systeminstructions systemprompt systemmessage instruction instructions preamble"
        " preambleoverride input inputs inputtext inputaudio inputids inputsembeds content contents message chathistory"
        " conversationhistory history suffix documents prediction query context examples image images custompromptdict"
        " initialpromptvalue finalpromptvalue promptid promptlabel promptversion promptvariables prompts promptembeds"
        " prompttokenids chattemplate template",
        "pass texts as `prompt` or `messages`, where they are counted and redacted",
    ),
    Steering(
        "functions functiondeclarations tooldefinitions toolconfig toolsets mcpservers actions plugins connectors",
        "pass `tools` outside `params`",
    ),
    Steering(
        "previousresponseid conversation conversationid thread threadid cachedcontent container fileids attachments"
        " vectorstoreids toolresources datasources websearchoptions websearch searchparameters searchoptions"
        " enablesearch grounding retrievalconfig",
        "send the texts that it refers to, since nobody can count them",
        uncounted=True,
    ),
    Steering(
        "extraheaders extraquery headers httpheaders additionalheaders defaultheaders defaultquery querystring apibase"
        " baseurl url serverurl endpoint endpointurl azureendpoint host apikey apiversion apitype auth authorization"
        " credentials organizationid organization project userconfig callbacks client httpclient"
        " httpoptions requestoptions proxy proxies regionname mockresponse"
        " numretries maxretries retries automaticcontinuation maxagenticloops retrypolicy retrystrategy routersettings",
        "configure it in the client that sends the call",
    ),
    Steering(
        "extrabody extrajson extraparams extrafields config generationconfig generatecontentconfig generateconfig"
        " inferenceconfig inferenceparams textgenerationconfig parameters params options optionalparams"
        " additionalmodelrequestfields additionalbodyparameters additionalparams modelkwargs modelparams modelsettings"
        " samplingparams llmconfig kwargs request requestbody body payload",
        "pass its contents as separate parameters",
        holds=True,
    ),
)
_BY_NAME: Final = {name: row for row in _ROWS for name in row.names.split()}
_CLIENT: Final = _BY_NAME["extraheaders"]
_CLIENT_OPTION: Final = re.compile(r"_|extra([_-]|[A-Z])|(?i:mock|litellm|aws|azure|vertex|.*api_?key)")
"""How the names of options begin that set how, where or as whom an SDK calls."""
_DISGUISED: Final = Steering("", "write its name in ASCII letters", False)
_SEGMENTS: Final = re.compile(r"[.:/\[\]]")
_WORD: Final = re.compile(r"[A-Z]?[a-z]+|[A-Z]+")
_WORDS: Final = {
    word: _BY_NAME[row]
    for row, words in (
        ("modelid", "model models router routing fallback fallbacks deployment"),
        ("input", "message messages instruction instructions"),
        ("extraheaders", "url uri endpoint host header headers proxy secret password credentials"),
    )
    for word in words.split()
}
"""Words that say in any name what it is about, such as ``auto_router_default_model`` and ``routingConfig``."""

_LIMIT: Final = _BY_NAME["maxtokens"]
_NUMBER: Final = _BY_NAME["n"]
_PAIRS: Final = tuple(
    (frozenset(one.split()), frozenset(other.split()), frozenset(but.split()), row)
    for one, other, but, row in (
        ("max maximum limit num", "tokens",
         "min thinking reasoning prompt input context speculative budget tool image", _LIMIT),
        ("max maximum limit", "output outputs completion generation answer response reply length len",
         "min thinking reasoning prompt input context tool image", _LIMIT),
        ("num n number count return", "completions choices answers responses generations sequences samples candidates"
         " candidate outputs return", "", _NUMBER),
    )
)  # fmt: skip
"""Words that say together what a name is about, as ``response_max_tokens`` does, unless another says it is not that."""
_LOOK_ALIKE: Final = str.maketrans("аеікорсухѕјԁһԛԝɡοαεικνρτυχ", "aeikopcyxsjdhqwgoaeikvptux")
"""Small letters of Cyrillic and Greek that look like Latin ones."""


def _by_pairs(words: frozenset[str]) -> Steering | None:
    for one, other, but, row in _PAIRS:
        if words & one and words & other and words & one != words & other and not words & but:
            return row
    return None


def _folded(name: str) -> str:
    return "".join(character for character in name.casefold() if character.isalnum())


_PASSING_FOLDED: Final = frozenset(map(_folded, PASSING)) - _BY_NAME.keys()


@lru_cache(4096)
def steering(name: str) -> Steering | None:
    """Return what a parameter decides that is not its to decide; None for one that passes, also an unknown one.

    A name with several parts, such as ``options.num_predict``, steers where a part of it does. One in letters that look
    like others is read as those.
    """
    if not name.isascii():
        name = unicodedata.normalize("NFKC", name).casefold().translate(_LOOK_ALIKE)
        if _passes(name):
            return _DISGUISED
    if _passes(name):
        return None
    found = (_BY_NAME.get(_folded(part)) for part in (name, *_SEGMENTS.split(name)))
    words = [word.lower() for word in _WORD.findall(name)]
    rows = (*found, *map(_WORDS.get, words), _by_pairs(frozenset(words)))
    row = next((row for row in rows if row is not None), None)
    return _CLIENT if row is None and _CLIENT_OPTION.match(name) else row


def _passes(name: str) -> bool:
    """Return whether a name is that of a known parameter that passes, in whatever case."""
    return name in PASSING or _folded(name) in _PASSING_FOLDED


def steering_inside(name: str, value: Any, admitted: Collection[str]) -> Iterator[tuple[str, Steering]]:
    """Yield what steers inside a parameter that passes or was admitted, by its path; nothing where nothing can.

    Inside a known parameter nothing steers, unless it holds parameters.
    """
    own = steering(name)
    if type(value) not in (dict, list) or _passes(name) or (name in admitted and (own is None or not own.holds)):
        return
    yield from _inside(value, name, admitted, every=own is not None)


def _inside(value: Any, path: str, admitted: Collection[str], *, every: bool) -> Iterator[tuple[str, Steering]]:
    if isinstance(value, (list, tuple)):
        for item in value:
            yield from _inside(item, path, admitted, every=every)
    if not isinstance(value, Mapping):
        return
    for name, item in value.items():
        key = str(name)[: LONGEST_NAME + 1]
        row = _BY_NAME[_folded(key)] if key in PASSING and _folded(key) in _BY_NAME else steering(key)
        if row is not None and (every or row.inner) and key not in admitted:
            yield f"{path}.{key}", row
        elif not _passes(key):
            yield from _inside(item, f"{path}.{key}", admitted, every=every)


def advice(path: str, row: Steering) -> str:
    """Return what to do instead of giving a parameter, or one inside another, that steers."""
    name = path.partition(".")[0]
    inside_unknown = name != path and steering(name) is None
    admits = f", or list it under `admit: {{params: [{name}]}}` of the policy set"
    return row.instead + (admits if inside_unknown or (row.admissible and name == path) else "")


_TEXTUAL: Final = frozenset({str, dict, list})


def texts_of(params: Mapping[str, Any]) -> list[Any]:
    """Return the values of parameters that a model may read: texts, lists and maps of all that are not known better.

    The system text is not among them; it is counted where it stands.
    """
    return [
        value
        for name, value in params.items()
        if type(value) in _TEXTUAL
        and (name not in NO_TEXTS or (name not in _FREE_KEYS and _length(value) > _LONGEST_SETTING))
        and name != SYSTEM
    ]


def _length(value: Any) -> int:
    """Return the characters of all names and texts in a value."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, Mapping):
        return sum(len(str(key)) + _length(item) for key, item in value.items())
    return sum(map(_length, value)) if isinstance(value, (list, tuple)) else 0


def canonical_parameter(name: str) -> str:
    """Return the one name that rules mean by a parameter: the spellings of the output limit are the same parameter."""
    return OUTPUT_LIMIT if name in OUTPUT_LIMIT_NAMES else name
