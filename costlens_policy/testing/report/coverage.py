"""Coverage as lines for people: a row for each policy, then what is not covered and why."""

from __future__ import annotations

from collections.abc import Iterator

from costlens_policy.testing.coverage import Coverage, RuleCoverage

__all__ = ["coverage_lines"]

_HEAD = ("policy", "rules", "covered", "true and false")


def coverage_lines(coverage: Coverage) -> Iterator[str]:
    """Yield the lines of a policy set. The last column counts conditions that held in one case and not in another."""
    yield f"coverage of {coverage.policy_set} ({coverage.file}): {coverage.percent} %"
    rows = [_HEAD, *(_row(policy.policy, policy.rules, policy.percent) for policy in coverage.policies)]
    if len(coverage.policies) > 1:
        rows.append(_row("all", coverage.rules, coverage.percent))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for name, *numbers in rows:
        cells = (cell.rjust(width) for cell, width in zip(numbers, widths[1:], strict=True))
        yield f"  {name.ljust(widths[0])}  {'  '.join(cells)}"
    for rule in coverage.rules:
        if not rule.covered:
            yield f"  not covered: {rule.kind} `{rule.rule}`{_place(rule)}: {rule.why}"


def _row(name: str, rules: tuple[RuleCoverage, ...], percent: int) -> tuple[str, str, str, str]:
    covered = sum(rule.covered for rule in rules)
    conditions = [rule for rule in rules if rule.conditional]
    both = sum(bool(rule.was_true and rule.was_false) for rule in conditions)
    return name, f"{covered} of {len(rules)}", f"{percent} %", f"{both} of {len(conditions)}"


def _place(rule: RuleCoverage) -> str:
    return f" ({rule.span.file}:{rule.span.start.line})" if rule.span is not None else ""
