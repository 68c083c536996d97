"""Rewrites: what is changed in the prompt, the messages and the parameters before the call."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, ClassVar, Final, Literal, NamedTuple, Protocol, TypeAlias, TypeVar, get_args

from pydantic import ConfigDict, Field, RootModel, model_validator
from pydantic.fields import FieldInfo

from costlens_policy.documents.document import (
    Count,
    Expression,
    Identifier,
    IsExpression,
    Number,
    ParameterName,
    Pattern,
    Section,
)
from costlens_policy.documents.parameters import canonical_parameter
from costlens_policy.frozen import frozen

__all__ = [
    "OPERATIONS", "PARAMETERS", "Clamp", "ClampParams", "DropExamples", "Effect", "NamedParameter", "Operation",
    "OperationFacts", "OperationSection", "ParameterSection", "Prefix", "Redact", "RemoveParams", "RemoveTools",
    "Replace", "Rewrite", "SetParams", "ShortenToolOutput", "Suffix", "SystemText", "Template", "TrimHistory",
]  # fmt: skip

Effect: TypeAlias = Literal["adds", "narrows", "replaces", "removes"]
"""What an operation does to what earlier rules have set: build on it, bound it, or wipe it."""

PARAMETERS: Final = "params"
"""The target of operations that set each parameter which they name."""


@frozen(kw_only=True)
class OperationFacts:
    """All that the checker and the engine know of an operation beside its implementation. None has a default."""

    target: str | None
    """What it sets: two rules that set the same need a ``merge``. ``PARAMETERS`` stands for each parameter that it
    names, None for nothing that another rule could set, since each works on what the one before left."""
    noun: str
    """The target in messages."""
    effect: Callable[[Any], Effect]
    """What it does to the target, by its section."""
    text: str | None
    """The key of its section that holds a text."""
    placeholders: Callable[[Any], tuple[str, ...]]
    """Names that it fills in where that text has placeholders, by its section. Without any, it is sent as it is."""
    shortens: bool
    """Whether it may make a request much shorter."""
    reads_texts: bool
    """Whether it looks through all texts of a request."""
    protects: bool
    """Whether it keeps data from leaving, so that a policy without effect would put somebody at risk."""
    refuses: bool
    """Whether a request is refused where its rule fails, even if the policy skips rules that fail."""


class OperationSection(Protocol):
    """The section of an operation, which has its facts beside its keys."""

    facts: ClassVar[OperationFacts]


def _adds(section: Any) -> Effect:
    return "adds"


def _narrows(section: Any) -> Effect:
    return "narrows"


def _replaces(section: Any) -> Effect:
    return "replaces"


def _removes(section: Any) -> Effect:
    return "removes"


def _system_effect(section: SystemText) -> Effect:
    return "replaces" if section.place == "replace" else "adds"


def _none(section: Any) -> tuple[str, ...]:
    return ()


PersonalData = Literal[
    "email", "phone", "credit_card", "iban", "us_ssn", "ipv4", "ipv6", "url_credentials", "api_key",
]  # fmt: skip


class _TextPiece(Section):
    text: Annotated[str, Field(min_length=1, examples=["Always respond concisely. "])]
    """The text, with the space or line end that separates it."""


class Prefix(_TextPiece):
    """Text put before the prompt, or before the last user message."""

    facts: ClassVar = OperationFacts(
        target="prefix", noun="the prefix", effect=_replaces, text="text", placeholders=_none,
        shortens=False, reads_texts=False, protects=False, refuses=False,
    )  # fmt: skip


class Suffix(_TextPiece):
    """Text put after the prompt, or after the last user message."""

    facts: ClassVar = OperationFacts(
        target="suffix", noun="the suffix", effect=_replaces, text="text", placeholders=_none,
        shortens=False, reads_texts=False, protects=False, refuses=False,
    )  # fmt: skip


class SystemText(Section):
    """The system text (OpenAI ``system`` or ``developer`` message, Anthropic ``system``)."""

    facts: ClassVar = OperationFacts(
        target="system", noun="the system text", effect=_system_effect, text="text", placeholders=_none,
        shortens=True, reads_texts=False, protects=False, refuses=False,
    )  # fmt: skip

    text: Annotated[str, Field(min_length=1, examples=["Answer in at most three sentences."])]
    """The system text."""
    place: Literal["replace", "before", "after"] = "after"
    """``replace`` the existing system text, or add this one ``before`` or ``after`` it."""


class Template(Section):
    """Replaces the prompt, or the last user message, with a template."""

    facts: ClassVar = OperationFacts(
        target="prompt", noun="the prompt", effect=_replaces, text="text",
        placeholders=lambda section: ("prompt", *section.values), shortens=True, reads_texts=False, protects=False,
        refuses=False,
    )  # fmt: skip

    text: Annotated[str, Field(min_length=1, examples=["Summarize in one sentence:\n{{ prompt }}"])]
    """``{{ prompt }}`` stands for the prompt, ``{{ name }}`` for an entry of ``values``."""
    values: dict[str, Annotated[Expression, IsExpression("string", "request", "variables", "model", "now")]] = Field(
        default_factory=dict
    )
    """Further placeholders, each a CEL expression that gives a string."""


class DropExamples(Section):
    """Removes few-shot examples from the prompt or the conversation."""

    facts: ClassVar = OperationFacts(
        target="examples", noun="examples", effect=_narrows, text=None, placeholders=_none,
        shortens=True, reads_texts=True, protects=False, refuses=False,
    )  # fmt: skip

    keep: Count = 0
    """How many examples to keep, from the first on."""
    begin: Annotated[str, Field(min_length=1)] = "<example>"
    """Marks the start of an example inside a text."""
    end: Annotated[str, Field(min_length=1)] = "</example>"
    """Marks the end of an example inside a text."""


class TrimHistory(Section):
    """Drops the oldest messages until the conversation fits.

    The system text and the last user message stay; a tool call and its results stay or go together.
    """

    facts: ClassVar = OperationFacts(
        target="history", noun="history", effect=_narrows, text=None, placeholders=_none,
        shortens=True, reads_texts=True, protects=False, refuses=False,
    )  # fmt: skip

    max_prompt_tokens: Annotated[int, Field(ge=1, examples=[8000])]
    """Tokens that the whole conversation may have afterward."""


class ShortenToolOutput(Section):
    """Cuts the middle out of tool results that are too long."""

    facts: ClassVar = OperationFacts(
        target="tool_output", noun="tool_output", effect=_narrows, text="marker",
        placeholders=lambda section: ("tokens",), shortens=True, reads_texts=True, protects=False, refuses=False,
    )  # fmt: skip

    max_tokens: Annotated[int, Field(ge=1, examples=[2000])]
    """Tokens that each tool result may keep, half of them from its start and half from its end."""
    above_tokens: Annotated[int, Field(ge=1, examples=[4000])] | None = None
    """Tokens up to which a tool result stays whole; only a longer one is cut. ``max_tokens`` if left out."""
    marker: str = "\n[… {{ tokens }} tokens cut …]\n"
    """Text that marks a cut; ``{{ tokens }}`` is the number of tokens removed."""

    @model_validator(mode="after")
    def _bounds_in_order(self) -> ShortenToolOutput:
        if self.above_tokens is not None and self.above_tokens < self.max_tokens:
            raise ValueError("`above_tokens` must be at least `max_tokens`")
        return self


class Replace(Section):
    """Replaces what an RE2 pattern matches, in every text of the prompt and the messages."""

    facts: ClassVar = OperationFacts(
        target=None, noun="", effect=_adds, text="text", placeholders=_none,
        shortens=True, reads_texts=True, protects=False, refuses=False,
    )  # fmt: skip

    pattern: Pattern
    """What is replaced, in RE2 syntax."""
    text: str = ""
    """Replacement; ``\\1`` stands for the first group."""
    roles: tuple[Literal["system", "user", "assistant", "tool"], ...] = ()
    """Only in messages of these roles; absent means all."""


class Redact(Section):
    """Replaces personal data with a label before the request is sent."""

    facts: ClassVar = OperationFacts(
        target=None, noun="", effect=_adds, text="text", placeholders=lambda section: ("kind",),
        shortens=False, reads_texts=True, protects=True, refuses=True,
    )  # fmt: skip

    kinds: Annotated[tuple[PersonalData, ...], Field(min_length=1, examples=[["email", "phone"]])]
    """Kinds of personal data to look for."""
    text: str = "[{{ kind }}]"
    """The label; ``{{ kind }}`` is the kind of data that was found."""
    regions: tuple[Annotated[str, Field(pattern=r"^[A-Z]{2}$", examples=["US", "DE"])], ...] = ()
    """Countries whose numbering plans ``phone`` also uses (needs the extra ``costlens-policy[pii]``)."""


class Clamp(Section):
    """Bounds of a numeric parameter."""

    at_least_one: ClassVar = ("min", "max")

    min: Number | None = None
    """Lowest value; a lower one is raised to it."""
    max: Annotated[Number, Field(examples=[0.7])] | None = None
    """Highest value; a higher one is lowered to it."""

    @model_validator(mode="after")
    def _bounds_in_order(self) -> Clamp:
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError("`min` must be at most `max`")
        return self


class NamedParameter(NamedTuple):
    """A parameter that an operation names, the step of a path under which it does, and the value that it sets."""

    name: str
    step: str | int
    value: Any = None


class ParameterSection(RootModel[Any]):
    """The section of an operation on parameters: a map or a list with their names."""

    model_config = ConfigDict(frozen=True)

    @property
    def named(self) -> Iterator[NamedParameter]:
        """The parameters in order; a list may repeat one."""
        if isinstance(self.root, Mapping):
            return (NamedParameter(name, name, value) for name, value in self.root.items())
        return (NamedParameter(name, index) for index, name in enumerate(self.root))


class SetParams(ParameterSection):
    """Values of parameters, by their names."""

    facts: ClassVar = OperationFacts(
        target=PARAMETERS, noun="the parameter", effect=_replaces, text=None, placeholders=_none,
        shortens=False, reads_texts=False, protects=False, refuses=False,
    )  # fmt: skip

    root: Annotated[dict[ParameterName, Any], Field(min_length=1, examples=[{"temperature": 0.2}])]


class ClampParams(ParameterSection):
    """Bounds of parameters, by their names."""

    facts: ClassVar = OperationFacts(
        target=PARAMETERS, noun="the parameter", effect=_narrows, text=None, placeholders=_none,
        shortens=False, reads_texts=False, protects=False, refuses=False,
    )  # fmt: skip

    root: Annotated[dict[ParameterName, Clamp], Field(min_length=1, examples=[{"max_output_tokens": {"max": 500}}])]


class RemoveParams(ParameterSection):
    """Names of parameters."""

    facts: ClassVar = OperationFacts(
        target=PARAMETERS, noun="the parameter", effect=_removes, text=None, placeholders=_none,
        shortens=True, reads_texts=False, protects=False, refuses=False,
    )  # fmt: skip

    root: Annotated[tuple[ParameterName, ...], Field(min_length=1, examples=[["logprobs"]])]


_ToolPattern = Annotated[str, Field(min_length=1, max_length=200, examples=["delete_*"])]


class RemoveTools(Section):
    """Removes tools by their names; a choice of a tool that is gone goes with it."""

    exactly_one: ClassVar = ("names", "all_except")

    facts: ClassVar = OperationFacts(
        target=None, noun="", effect=_removes, text=None, placeholders=_none,
        shortens=False, reads_texts=False, protects=False, refuses=True,
    )  # fmt: skip

    names: Annotated[tuple[_ToolPattern, ...], Field(min_length=1)] = ()
    """The tools to remove; ``*`` stands for any characters, and alone for all tools."""
    all_except: Annotated[tuple[_ToolPattern, ...], Field(min_length=1, examples=[["search_*"]])] = ()
    """The only tools to keep; ``*`` stands for any characters."""


S = TypeVar("S", bound=OperationSection)
_Key: TypeAlias = S | None


class Operation(Section):
    """One change; exactly one key."""

    # One row for each operation; its section has its facts, and ``rewrites`` implements it under the same name.
    system: _Key[SystemText] = None
    """Sets or extends the system text."""
    prefix: _Key[Prefix] = None
    """Puts a text before the prompt, or before the last user message."""
    suffix: _Key[Suffix] = None
    """Puts a text after the prompt, or after the last user message."""
    template: _Key[Template] = None
    """Replaces the prompt with a template."""
    drop_examples: _Key[DropExamples] = None
    """Removes few-shot examples."""
    trim_history: _Key[TrimHistory] = None
    """Drops the oldest messages until the conversation fits."""
    shorten_tool_output: _Key[ShortenToolOutput] = None
    """Cuts the middle out of tool results that are too long."""
    replace: _Key[Replace] = None
    """Replaces what a pattern matches."""
    redact: _Key[Redact] = None
    """Replaces personal data with labels."""
    set_params: _Key[SetParams] = None
    """Sets parameters of the call, such as ``temperature`` or ``max_output_tokens``."""
    clamp_params: _Key[ClampParams] = None
    """Keeps numeric parameters within bounds; one that is absent stays absent."""
    remove_params: _Key[RemoveParams] = None
    """Removes parameters from the call."""
    remove_tools: _Key[RemoveTools] = None
    """Removes tools, and the choice of one that is gone."""

    @property
    def name(self) -> str:
        """The key that is there."""
        return next(name for name in OPERATIONS if getattr(self, name) is not None)

    @property
    def section(self) -> Any:
        """What stands under that key."""
        return getattr(self, self.name)

    @property
    def facts(self) -> OperationFacts:
        return OPERATIONS[self.name]

    @property
    def effect(self) -> Effect:
        """What it does to its target."""
        return self.facts.effect(self.section)

    @property
    def parameters(self) -> Iterator[NamedParameter]:
        """The parameters that it names, none for an operation on anything else."""
        section = self.section
        return section.named if isinstance(section, ParameterSection) else iter(())

    @property
    def targets(self) -> tuple[str, ...]:
        """What it sets, such as ``prefix`` or ``params.temperature``; each name once, in order."""
        target = self.facts.target
        if target == PARAMETERS:
            return tuple(dict.fromkeys(f"{PARAMETERS}.{canonical_parameter(item.name)}" for item in self.parameters))
        return () if target is None else (target,)


def _facts_of(key: FieldInfo) -> OperationFacts:
    section: type[OperationSection] = get_args(key.annotation)[0]
    return section.facts


OPERATIONS: Final = {name: _facts_of(key) for name, key in Operation.model_fields.items()}
"""Every operation with its facts, by the key of ``Operation``."""
Operation.exactly_one = tuple(OPERATIONS)

_WHEN = Field(examples=["model.external", 'model.name == "gpt-5-nano"'])


class Rewrite(Section):
    """A rule of the rewrites stage. All whose conditions hold are applied, in order."""

    id: Identifier
    """Name of the rewrite, unique within the policy."""
    description: str = ""
    """What the rewrite is for."""
    when: (
        Annotated[Expression, IsExpression("bool", "request", "variables", "budgets", "model", "now"), _WHEN] | None
    ) = None
    """Condition; absent means always. It may read ``model``, the candidate that is being prepared."""
    apply: Annotated[tuple[Operation, ...], Field(min_length=1)]
    """The changes, in order."""
    merge: Literal["append", "min", "max", "set_once"] | None = None
    """What happens when another rewrite sets the same target: keep both in order (``append``), the lower or higher
    number (``min``, ``max``), or the first (``set_once``)."""
    reason: str = ""
    """Shown in the decision."""
