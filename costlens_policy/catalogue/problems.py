"""What can be wrong with a catalogue; one function for each code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal

from costlens_policy.diagnostics.model import Diagnostic, Related, Severity, Span
from costlens_policy.diagnostics.suggestion import listed
from costlens_policy.money import MAX_FRACTION_DIGITS, plain

__all__ = [
    "ambiguous_name", "contradictory_quality", "cycle", "empty_quality", "incomplete_price", "latency_order",
    "lock_changed", "long_context_order", "name_taken", "output_above_context", "period_order", "price_out_of_range",
    "retired_before_deprecated", "tier_of_other_name", "two_price_sources", "unknown_import",
    "unknown_model", "unlikely_price", "unpriced",
]  # fmt: skip


def unknown_import(pattern: str, meant: str | None, span: Span) -> Diagnostic:
    advice = f"did you mean `{meant}`?" if meant else "name models as `provider/name`, with `*` for any text"
    return Diagnostic(
        "CL501", Severity.ERROR, f"`{pattern}` matches no model of the price list", span, "nothing to import", advice
    )


def unknown_model(name: str, meant: str | None, span: Span) -> Diagnostic:
    advice = f"did you mean `{meant}`?" if meant else "declare it under `models`, or import it"
    return Diagnostic("CL502", Severity.ERROR, f"the catalogue has no model `{name}`", span, "unknown model", advice)


def name_taken(name: str, owner: str, span: Span, first: Span | None) -> Diagnostic:
    related = (Related(first, f"`{owner}` is defined here"),) if first is not None else ()
    return Diagnostic(
        "CL503",
        Severity.ERROR,
        f"`{name}` already means the model `{owner}`",
        span,
        "this name is taken",
        "rename one of the two",
        related,
    )


def ambiguous_name(name: str, choices: Sequence[str], span: Span) -> Diagnostic:
    return Diagnostic(
        "CL504",
        Severity.ERROR,
        f"`{name}` can mean {listed(choices, 'or', 6)}",
        span,
        "several imported models have this name",
        f"write `{choices[0]}`",
    )


def cycle(names: Sequence[str], verb: str, span: Span) -> Diagnostic:
    path = " → ".join(f"`{name}`" for name in (*names, names[0]))
    return Diagnostic(
        "CL505",
        Severity.ERROR,
        f"`{names[0]}` {verb} itself: {path}",
        span,
        "leads back to the model",
        "break the cycle at one of these models",
    )


def unpriced(name: str, source: str, span: Span) -> Diagnostic:
    because = f": `{source}` has none either" if source else ""
    return Diagnostic(
        "CL506",
        Severity.WARNING,
        f"`{name}` has no prices{because}",
        span,
        "unpriced",
        "add `prices`, or `price_as`; an unpriced model serves only where the policy set admits it",
    )


def incomplete_price(missing: Sequence[str], span: Span) -> Diagnostic:
    return Diagnostic(
        "CL507",
        Severity.ERROR,
        f"the price of {listed(missing)} tokens is missing",
        span,
        "prices without it",
        f"add `{missing[0]}`; write `0` if these tokens are free",
    )


def period_order(effective: date | None, before: date | None, span: Span) -> Diagnostic:
    if effective is None:
        message, advice = "only the first period may omit `effective`", "add the day from which these prices hold"
    else:
        message = f"`effective` must be after `{before}`, got `{effective}`"
        advice = "list the periods by day, each day once"
    return Diagnostic("CL508", Severity.ERROR, message, span, "out of order", advice)


def long_context_order(above: int, before: int, span: Span) -> Diagnostic:
    return Diagnostic(
        "CL509",
        Severity.ERROR,
        f"`above_input_tokens` must be more than `{before}`, got `{above}`",
        span,
        "out of order",
        "list the steps from low to high, each once",
    )


def unlikely_price(message: str, advice: str, span: Span, label: str = "is this the unit?") -> Diagnostic:
    return Diagnostic("CL510", Severity.WARNING, message, span, label, advice)


def price_out_of_range(span: Span, limit: Decimal) -> Diagnostic:
    return Diagnostic(
        "CL511",
        Severity.ERROR,
        f"a price must be at most {limit:,f} US dollars, with at most {MAX_FRACTION_DIGITS - 6} decimal places",
        span,
        "out of range",
        "prices are US dollars per million tokens",
    )


def two_price_sources(span: Span, other: Span) -> Diagnostic:
    return Diagnostic(
        "CL512",
        Severity.ERROR,
        "a model must have `prices` or `price_as`, not both",
        span,
        "also sets prices",
        "remove one of the two",
        (Related(other, "the other source of prices"),),
    )


def retired_before_deprecated(retired: date, deprecated: date, span: Span) -> Diagnostic:
    return Diagnostic(
        "CL513",
        Severity.ERROR,
        f"the model is retired on `{retired}`, before it is deprecated on `{deprecated}`",
        span,
        "in the wrong order",
        "a model is deprecated first and retired later",
    )


def output_above_context(name: str, output: int, context: int, span: Span) -> Diagnostic:
    return Diagnostic(
        "CL514",
        Severity.WARNING,
        f"`{name}` can output `{output}` tokens, but its context window holds only `{context}`",
        span,
        "does not fit",
        "the context window holds prompt and output together",
    )


def latency_order(p50: Decimal, p95: Decimal, span: Span) -> Diagnostic:
    return Diagnostic(
        "CL515",
        Severity.ERROR,
        f"`p95` must be at least `p50`, got `{p95}` ms and `{p50}` ms",
        span,
        "in the wrong order",
        "half of the calls are faster than `p50`, and 95 of 100 are faster than `p95`",
    )


def empty_quality(span: Span) -> Diagnostic:
    return Diagnostic(
        "CL516",
        Severity.WARNING,
        "`quality` is empty and has no effect",
        span,
        "no task",
        "give measured quality by task, such as `summarization: 0.86`, or remove the key",
    )


def contradictory_quality(given: Mapping[str, Decimal], span: Span) -> Diagnostic:
    """``given`` are those of ``low``, ``value``, ``high`` and ``level`` that are given."""
    if "low" in given and "high" in given:
        interval = f"`{plain(given['low'])}` to `{plain(given['high'])}`"
        message = f"a quality must be within its interval, got `{plain(given['value'])}` and {interval}"
        advice = "`low` and `high` are the ends of the interval around `value`, all from 0 to 1"
    else:
        present = next(name for name in given if name != "value")
        message, advice = (
            f"an interval needs `low` and `high`, got only `{present}`",
            "give both ends, or remove the key",
        )
    return Diagnostic("CL519", Severity.ERROR, message, span, "contradicts the interval", advice)


def tier_of_other_name(name: str, own: str, span: Span) -> Diagnostic:
    if own and own != name:
        message, advice = f"`{name}` is an alias of the service tier `{own}`", f"write `{own}`"
    else:
        message, advice = (
            f"`{name}` is not a service tier with prices of its own",
            "set the usual prices outside `service_tiers`",
        )
    return Diagnostic("CL518", Severity.ERROR, message, span, "these prices would never be used", advice)


def lock_changed(expected: str, actual: str, span: Span) -> Diagnostic:
    return Diagnostic(
        "CL517",
        Severity.ERROR,
        "the locked catalogue does not match its digest",
        span,
        f"the content has `{actual[:19]}…`, the label `{expected[:19]}…`",
        "lock again with `costlens-policy catalogue lock`, or put the changes into a later catalogue",
    )
