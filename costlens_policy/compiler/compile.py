"""A checked bundle becomes a plan."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final

from costlens_policy.catalogue import Catalogue
from costlens_policy.checker import CheckedBundle, LinkedDocument
from costlens_policy.checker.attributes import ASKED_MODEL, LIKELY_COST, WARM_TOKENS
from costlens_policy.checker.reads import signal_reads
from costlens_policy.compiler.attributes import request_attributes
from costlens_policy.compiler.formula import Formula
from costlens_policy.compiler.formulas import Formulas
from costlens_policy.compiler.layers import compile_layer
from costlens_policy.compiler.plan import Layer, Plan, PlanDefaults
from costlens_policy.compiler.priced_models import Admitted, Snapshots
from costlens_policy.compiler.routes import compile_route
from costlens_policy.compiler.rules import BudgetStep, RouteStep
from costlens_policy.documents import Document, PolicySetDocument
from costlens_policy.expressions.limits import RunLimits
from costlens_policy.money import plain
from costlens_policy.tokens import Tokenizer, tokenizer_named

__all__ = ["compile_plan", "recompile_plan"]


def compile_plan(bundle: CheckedBundle) -> Plan:
    """Return the plan of a checked bundle. It cannot fail: whatever could has been reported by the checker."""
    linked = bundle.linked
    tokenizer = tokenizer_named(linked.policy_set.document.tokenizer)
    layers = tuple(
        compile_layer(index, policy.document, _formulas(bundle, policy), linked.catalogue, tokenizer)
        for index, policy in enumerate(linked.policies)
    )
    snapshots = Snapshots(linked.catalogue, _admitted(linked.policy_set.document))
    return _assembled(bundle, layers, _formulas(bundle, linked.policy_set), snapshots)


def recompile_plan(
    plan: Plan, bundle: CheckedBundle, changed: LinkedDocument[Document], made: Mapping[int, Formula]
) -> Plan:
    """Return the plan of a bundle that differs from that of ``plan`` in one document, its policy set or a policy.

    What did not change is shared with ``plan``: its other layers, prices, and formulas in ``made``, which are kept by
    the identities of their typed expressions. A policy set may differ in its defaults and variables only.
    """
    policies, tokenizer = bundle.linked.policies, plan.tokenizer
    layers = tuple(
        compile_layer(index, policy.document, _formulas(bundle, policy, made), bundle.linked.catalogue, tokenizer)
        if policy is changed
        else layer
        for index, (layer, policy) in enumerate(zip(plan.layers, policies, strict=True))
    )
    found = _assembled(bundle, layers, _formulas(bundle, bundle.linked.policy_set, made), plan.snapshots)
    object.__setattr__(found, "shapes", plan.shapes)  # attributes are the same, and functions to admit them made
    return found


def _assembled(bundle: CheckedBundle, layers: tuple[Layer, ...], own: Formulas, snapshots: Snapshots) -> Plan:
    linked = bundle.linked
    policy_set = linked.policy_set.document
    tokenizer = tokenizer_named(policy_set.tokenizer)
    attributes = request_attributes(linked.attributes)
    default = _default_route(policy_set, own, linked.catalogue, tokenizer, len(layers))
    others: tuple[LinkedDocument[Document], ...] = (*linked.policies, *linked.tables, *linked.signal_documents)
    paths = {
        path
        for expressions in bundle.expressions.values()
        for typed in expressions.values()
        for path in typed.references
    }
    return Plan(
        name=policy_set.metadata.name,
        version=policy_set.metadata.version,
        variables={name: own.needed(("variables", name)) for name in policy_set.variables},
        layers=layers,
        defaults=PlanDefaults(
            allows=policy_set.defaults.access == "allow",
            route=default,
            max_output_tokens=policy_set.defaults.max_output_tokens,
            max_fallbacks=policy_set.defaults.max_fallbacks,
            allowance_usd=policy_set.ledger.allowance_usd,
            task=None if policy_set.defaults.task is None else own.needed(("defaults", "task")),
        ),
        attributes=attributes,
        required=frozenset(name for name, attribute in attributes.items() if attribute.required),
        filled_in=tuple((name, item.default) for name, item in attributes.items() if item.default is not None),
        catalogue=linked.catalogue,
        snapshots=snapshots,
        tokenizer=tokenizer,
        budgets=_budgets(layers),
        policy_digest=_digest(policy_set, (item.document for item in others)),
        catalogue_digest=linked.catalogue.digest,
        admitted_params=frozenset(policy_set.admit.params),
        verifies_prompt_tokens=policy_set.prompt_tokens == "verified",
        reads=frozenset(path[0] for path in paths),
        reads_asked_model=any(path[0] == "request" and path[1:] in ((), (ASKED_MODEL,)) for path in paths),
        reads_signals=_signals_read(bundle),
        reads_warmth=not _WARMTH.isdisjoint(paths),
        reads_id=any(path[0] == "request" and path[1:2] in ((), ("id",)) for path in paths)
        or any(route.draws_by_id for route in (default, *(step for layer in layers for step in layer.routes))),
    )


_WARMTH: Final = frozenset({("request", WARM_TOKENS), ("estimate", LIKELY_COST), ("estimate",)})
"""What is read of prompt caches. Who reads ``request`` as a whole reads what the caller gave."""


def _admitted(policy_set: PolicySetDocument) -> Admitted:
    admit = policy_set.admit
    return Admitted(admit.unknown_models, admit.unpriced_models, admit.deprecated_models)


def _default_route(
    policy_set: PolicySetDocument, formulas: Formulas, catalogue: Catalogue, tokenizer: Tokenizer, layer: int
) -> RouteStep:
    """Return the default route. Its ``layer`` is the one after the last, which has the variables of the set alone."""
    target, at = policy_set.defaults.route, ("defaults", "route")
    return compile_route(target, "default", at, formulas, catalogue, tokenizer, layer)


_NONE_MADE: Final[Mapping[int, Formula]] = {}


def _formulas(
    bundle: CheckedBundle, document: LinkedDocument[Document], made: Mapping[int, Formula] = _NONE_MADE
) -> Formulas:
    given = bundle.linked.policy_set.document.limits
    limits = RunLimits(given.iterations, given.value_size)
    return Formulas(document.located, document.document, bundle.typed_of(document), limits, made)


def _budgets(layers: Sequence[Layer]) -> Mapping[str, tuple[int, BudgetStep]]:
    named = {step.id: (index, step) for index, layer in enumerate(layers) for step in layer.budgets}
    short: dict[str, list[tuple[int, BudgetStep]]] = {}
    for id, entry in named.items():
        short.setdefault(id.partition("/")[2], []).append(entry)
    return named | {id: entries[0] for id, entries in short.items() if len(entries) == 1}


def _signals_read(bundle: CheckedBundle) -> frozenset[str]:
    """Return the signals that the expressions of a bundle read; all where one reads them as a whole."""
    if not bundle.linked.signals.by_name:
        return frozenset()
    expressions = (typed for each in bundle.expressions.values() for typed in each.values())
    read = {name for typed in expressions for name, _ in signal_reads(typed)}
    return frozenset(bundle.linked.signals.by_name if "" in read else read)


_FILE_NAMES: Final = {"policies", "catalogues", "data", "signals"}
"""Keys that only say where to find the documents; what is in them is part of the digests."""


def _digest(policy_set: Document, documents: Iterable[Document]) -> str:
    """Return the SHA-256, in hexadecimal, of the canonical JSON of a policy set, its policies and its data in order."""
    content = [policy_set.model_dump(by_alias=True, exclude=_FILE_NAMES)]
    content += [document.model_dump(by_alias=True) for document in documents]
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True, default=_text)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def _text(value: Any) -> str:
    """Return the one text of equal numbers, days and moments."""
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(f"a document holds no {type(value).__name__}")
