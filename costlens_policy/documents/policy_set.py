"""A policy set: the ordered layers, what they share, and what holds where no rule speaks."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import Field, field_validator, model_validator

from costlens_policy.diagnostics.codes import CODES
from costlens_policy.diagnostics.suggestion import did_you_mean
from costlens_policy.documents.document import (
    AttributeName,
    Document,
    Expression,
    FilePath,
    IsExpression,
    ParameterName,
    Section,
    Usd,
)
from costlens_policy.documents.parameters import PASSING, steering
from costlens_policy.documents.policy import Target

__all__ = [
    "Admission", "Attribute", "Defaults", "EvidenceTerms", "ExpressionLimits", "LedgerTerms", "PolicySetDocument",
]  # fmt: skip


class Attribute(Section):
    """A custom request attribute, beside the standard ones."""

    type: Annotated[
        str,
        Field(examples=["string", "int", "double", "bool", "timestamp", "list(string)", "map(string, dyn)"]),
    ]
    """CEL type of the attribute."""
    required: bool = False
    """A request without it is refused."""
    default: Annotated[Any, Field(examples=["free", 0])] = None
    """Value used when the request has none; the attribute is then always set."""
    values: tuple[Annotated[str, Field(examples=["free", "pro"])], ...] = ()
    """The only values it may take."""
    max_size: Annotated[int, Field(ge=0, le=10_000_000, examples=[50])] | None = None
    """Maximum characters of a string, elements of a list or entries of a map; a request with more is refused."""
    trusted: bool | None = None
    """Who sets it: your service (``true``), or callers as they like (``false``). Left out, ``check`` examines what a
    request without it gets out of; ``false``: what one with another value does, too; ``true``: nothing."""
    description: str = ""
    """What the attribute means."""


class Admission(Section):
    """Models and parameters to admit although too little is known about them. All are refused unless admitted here."""

    unknown_models: bool = False
    """Models that the catalogue does not list (they are unpriced, too)."""
    unpriced_models: bool = False
    """Models without a price; their cost is unknown, so budgets in US dollars cannot limit it."""
    deprecated_models: bool = False
    """Models that their provider no longer recommends."""
    params: tuple[Annotated[ParameterName, Field(examples=["extra_headers"])], ...] = ()
    """Parameters that requests and rewrites may carry although they steer where, how or with what texts the model is
    called, such as ``extra_headers`` or ``previous_response_id``."""

    @model_validator(mode="after")
    def _worth_admitting(self) -> Admission:
        for name in self.params:
            row = steering(name)
            if name in PASSING:
                raise ValueError(f"`params` must not list `{name}`, which is passed on anyway")
            if row is not None and not row.admissible:
                raise ValueError(f"`params` cannot admit `{name}`: {row.instead}")
        return self


class ExpressionLimits(Section):
    """How large an expression may be, and how much work it may take. Undeclared sizes are assumptions for ``cost``
    only: a request with larger values is limited by ``iterations`` alone."""

    expression_length: Annotated[int, Field(ge=1, le=65_536)] = 16_384
    """Characters of one expression."""
    expression_depth: Annotated[int, Field(ge=1, le=100)] = 100
    """Levels of nested brackets and operations."""
    literal_length: Annotated[int, Field(ge=0, le=65_536)] = 8_192
    """Characters of one string literal."""
    literal_elements: Annotated[int, Field(ge=0, le=65_536)] = 1_024
    """Elements of one list or map literal, and arguments of one call."""
    cost: Annotated[int, Field(ge=1, le=10**12)] = 1_000_000
    """Steps that one evaluation may take in the worst case; checked when policies are loaded."""
    iterations: Annotated[int, Field(ge=0, le=10**9)] = 100_000
    """Elements that all comprehensions of one evaluation may visit; enforced at run time."""
    value_size: Annotated[int, Field(ge=1, le=10_000_000)] = 10_000_000
    """Characters, bytes or elements of a value that an expression creates; enforced at run time."""
    assumed_list: Annotated[int, Field(ge=0, le=10_000_000)] = 200
    """Elements that an undeclared list counts as in ``cost``."""
    assumed_map: Annotated[int, Field(ge=0, le=10_000_000)] = 200
    """Entries that an undeclared map counts as in ``cost``."""
    assumed_text: Annotated[int, Field(ge=0, le=10_000_000)] = 10_000
    """Characters that an undeclared text counts as in ``cost``."""


class EvidenceTerms(Section):
    """What ``check`` asks of the evidence for a quality by which a rule chooses."""

    min_cases: Annotated[int, Field(ge=0, le=10**9)] = 100
    """Warn where a quality rests on fewer cases (CL481)."""
    max_age_days: Annotated[int, Field(ge=0, le=100_000)] = 365
    """Warn where a quality was measured more days ago (CL482)."""


class LedgerTerms(Section):
    """What happens to calls while the ledger cannot be reached."""

    unreachable: Literal["deny", "allow"] = "deny"
    """Refuse calls while the ledger cannot be reached, or let them through against ``allowance_usd``."""
    allowance_usd: Annotated[Usd, Field(examples=[5])] | None = None
    """US dollars that each process may spend until the ledger is back; ``allow`` needs it."""

    @model_validator(mode="after")
    def _bounded(self) -> LedgerTerms:
        if self.unreachable == "allow" and self.allowance_usd is None:
            raise ValueError("`unreachable: allow` needs `allowance_usd`, since nothing else limits what is spent")
        if self.unreachable == "deny" and self.allowance_usd is not None:
            raise ValueError("`allowance_usd` has no effect without `unreachable: allow`")
        return self


class Defaults(Section):
    """What applies where no rule matches."""

    access: Literal["allow", "deny"]
    """Effect where no access rule matches."""
    route: Target
    """Where requests go that no route matches."""
    max_output_tokens: Annotated[int, Field(ge=1, le=10_000_000, examples=[1024])]
    """Output limit of calls whose request sets none; it is used in estimates and sent with the call."""
    max_fallbacks: Annotated[int, Field(ge=0, le=20)] = 2
    """How many fallback models a decision lists in case the call fails."""
    task: (
        Annotated[
            Expression,
            IsExpression("string", "request", "variables", "now"),
            Field(examples=['signals.?task.orValue("")']),
        ]
        | None
    ) = None
    """The task whose quality counts where a request names none, such as a signal; an empty text is none."""


_Code = Annotated[
    str, Field(pattern=r"^CL[0-9]{3}$", json_schema_extra={"patternErrorMessage": "a code, such as CL444"})
]
_CONFIGURABLE: Final = tuple(code for code in CODES if code[:3] in ("CL2", "CL3", "CL4", "CL5"))


class PolicySetDocument(Document):
    """Policies in order, over one catalogue. A later policy cannot lift a deny of an earlier one."""

    kind: Literal["PolicySet"]
    """This document puts policies in order and states what applies where no rule matches."""
    policies: Annotated[tuple[FilePath, ...], Field(min_length=1)]
    """Policy files, in order."""
    catalogues: Annotated[tuple[FilePath, ...], Field(min_length=1)]
    """Catalogue files; a later one overrides models of an earlier one."""
    data: tuple[Annotated[FilePath, Field(examples=["data/teams.yaml"])], ...] = ()
    """Files with tables (``kind: Data``) that every policy reads as ``data.name``."""
    signals: tuple[Annotated[FilePath, Field(examples=["signals.yaml"])], ...] = ()
    """Files that declare signals (``kind: Signals``), which every policy reads as ``signals.name``."""
    attributes: dict[AttributeName, Attribute] = Field(default_factory=dict)
    """Request attributes beside the standard ones; a standard name here narrows it (``required``, ``default``,
    ``values``)."""
    variables: dict[AttributeName, Annotated[Expression, IsExpression("any", "request", "variables", "now")]] = Field(
        default_factory=dict, examples=[{"is_production": 'request.?environment.orValue("") == "production"'}]
    )
    """Named expressions that every policy and the default route read as ``variables.name``; each may read those above
    it. A policy's own variable of the same name hides it there."""
    defaults: Defaults
    """What applies where no rule matches. Nothing is implied."""
    tokenizer: Literal["estimate", "o200k"] = "estimate"
    """What counts the tokens of a request without ``prompt_tokens``: the built-in estimate, or the tokenizer
    of OpenAI's newer models (needs the extra ``costlens-policy[tokenizer]``)."""
    prompt_tokens: Literal["trusted", "verified"] = "trusted"
    """Whether the ``prompt_tokens`` of a request are taken as they are, or only where the count of its texts is not
    larger (``verified``)."""
    admit: Admission = Admission()
    """Models and parameters to admit although too little is known about them."""
    limits: ExpressionLimits = ExpressionLimits()
    """How large an expression may be, and how much work it may take."""
    evidence: EvidenceTerms = EvidenceTerms()
    """What ``check`` asks of the evidence for a quality by which a rule chooses. It changes no decision."""
    ledger: LedgerTerms = LedgerTerms()
    """What the guard does while the ledger cannot be reached."""
    severities: dict[
        Annotated[
            str, Field(pattern=r"^CL[0-9]{3}$", json_schema_extra={"patternErrorMessage": "a code, such as CL444"})
        ],
        Literal["error", "warning", "note"],
    ] = Field(default_factory=dict, examples=[{"CL444": "note"}])
    """How severe ``check`` takes a problem of this set, by code. A note never fails, not even under ``--strict``. What
    prevents loading remains an error."""

    @field_validator("severities")
    @classmethod
    def _known_codes(cls, severities: dict[str, str]) -> dict[str, str]:
        for code in severities:
            if code not in CODES:
                raise ValueError(f"unknown code `{code}`; {did_you_mean(code, CODES) or 'see docs/diagnostics.md'}")
            if code not in _CONFIGURABLE:
                raise ValueError(f"the severity of `{code}` cannot be set; only codes from CL201 to CL599 can")
        return severities
