"""What ``catalogue diff`` does: two catalogues side by side, and recorded traffic on the prices of either."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import click

from costlens_policy.catalogue import Catalogue
from costlens_policy.catalogue.comparison import ModelChange, PriceChange, compare
from costlens_policy.checker import check
from costlens_policy.cli.catalogues import load_models
from costlens_policy.cli.console import write_out
from costlens_policy.cli.exit_codes import ExitCode
from costlens_policy.cli.replaying import Compared, Gates, compare_plans, ended
from costlens_policy.cli.revisions import policies_at
from costlens_policy.cli.traffic import print_report
from costlens_policy.cli.traffic_options import TrafficOptions
from costlens_policy.compiler import compile_plan
from costlens_policy.compiler.plan import Plan
from costlens_policy.money import plain
from costlens_policy.replay.settings import assumptions
from costlens_policy.replay.tables import SummaryTable, difference_tables

__all__ = ["diff_catalogues"]

_TITLE: Final = "What this change of the catalogue does"
_NUMBERS: Final = frozenset({2, 3, 4})


def diff_catalogues(
    old: str, new: str, policy: Path | None, options: TrafficOptions, output: str, gates: Gates
) -> ExitCode:
    """Compare and print. Returns ``GATE`` where a gate does not hold."""
    _expect_both(policy, options, gates)
    with policies_at(old) as old_path, policies_at(new) as new_path:
        before, after = load_models([old_path]), load_models([new_path])
    changes = compare(before, after)
    compared = None
    if policy is not None:
        compared = compare_plans(_plan(policy, before), _plan(policy, after), options, gates)
    if output == "json":
        write_out(json.dumps(_facts(changes, compared), indent=2, ensure_ascii=False))
    else:
        _print(output, changes, compared)
    return ExitCode.OK if compared is None else ended(compared, options)


def _expect_both(policy: Path | None, options: TrafficOptions, gates: Gates) -> None:
    context = click.get_current_context()
    if policy is None and options.files:
        raise click.UsageError("--traffic needs --policy PATH, whose rules decide it", context)
    if policy is not None and not options.files:
        raise click.UsageError("--policy needs --traffic FILE, the requests to decide", context)
    if policy is None and (gates.max_increase is not None or gates.no_new_denials):
        raise click.UsageError("a gate needs --policy and --traffic: the catalogues alone cost nothing", context)


def _plan(policy: Path, catalogue: Catalogue) -> Plan:
    return compile_plan(check(policy, catalogue=catalogue))


def _print(output: str, changes: Sequence[ModelChange], compared: Compared | None) -> None:
    counts = {what: sum(change.what == what for change in changes) for what in ("changed", "added", "removed")}
    verdict = ", ".join(f"{number} {'model' if number == 1 else 'models'} {what}" for what, number in counts.items())
    if compared is None:
        print_report(output, _TITLE, verdict, _tables(changes), (), ())
        return
    difference = compared.difference
    tables = (*_tables(changes), *difference_tables(difference))
    print_report(
        output, _TITLE, f"{verdict}\n{compared.verdict}", tables, difference.notes, assumptions(difference.settings)
    )


def _tables(changes: Sequence[ModelChange]) -> Iterator[SummaryTable]:
    known = [change for change in changes if change.what == "changed"]
    prices = [_price_row(change.name, price) for change in known for price in change.prices]
    yield SummaryTable(
        "Prices that change (USD per million tokens)", ("model", "price", "was", "is", ""), prices, _NUMBERS
    )
    facts = [(change.name, fact.fact, fact.old or "", fact.new or "") for change in changes for fact in change.facts]
    yield SummaryTable("What else changes", ("model", "fact", "was", "is"), facts)
    for what, title, side in (("added", "New models", "new"), ("removed", "Models that are gone", "old")):
        rows = [(change.name, _usual(change, side)) for change in changes if change.what == what]
        yield SummaryTable(title, ("model", "prices (USD per million tokens)"), rows)


def _price_row(model: str, price: PriceChange) -> tuple[str, ...]:
    ratio = "" if price.ratio is None else f"{price.ratio:+.1%}" if price.ratio else "the same"
    return model, _place(price), _amount(price.old), _amount(price.new), ratio


def _place(price: PriceChange) -> str:
    """Say which price it is: its kind, tier, length of prompts, and the day from which it holds."""
    parts = (
        "each request" if price.kind == "request" else price.kind,
        price.service_tier,
        f"above {price.above_input_tokens:,} tokens" if price.above_input_tokens else "",
        f"from {price.since}" if price.since else "",
    )
    return ", ".join(filter(None, parts))


def _usual(change: ModelChange, side: str) -> str:
    """Return the usual prices of a model that only one catalogue has, the latest ones."""
    latest: dict[str, str] = {}
    for price in change.prices:
        amount = getattr(price, side)
        if not price.service_tier and not price.above_input_tokens and amount is not None:
            latest[price.kind] = f"{price.kind} {plain(amount)}"
    return ", ".join(latest.values()) or "none"


def _amount(amount: Decimal | None) -> str:
    return "none" if amount is None else plain(amount)


def _facts(changes: Sequence[ModelChange], compared: Compared | None) -> dict[str, Any]:
    models = json.loads(json.dumps([asdict(change) for change in changes], default=_json))
    return {"models": models, "traffic": None if compared is None else compared.to_dict()}


def _json(value: object) -> str:
    return plain(value) if isinstance(value, Decimal) else value.isoformat() if isinstance(value, date) else str(value)
