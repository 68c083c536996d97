"""A rewrite is idle only where nothing between gives it something to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from costlens_policy.assurance import examine
from costlens_policy.assurance.domain.examples import texts_matching
from tests.assurance.conftest import checked

NARROW = "  - {id: narrow, apply: [{clamp_params: {max_output_tokens: {max: 500}}}], merge: min}\n"
WIDE = "  - {id: wide, apply: [{clamp_params: {max_output_tokens: {max: 1000}}}], merge: min}\n"
SET = "  - {id: set, apply: [{set_params: {max_output_tokens: 5000}}], merge: set_once}\n"
REDACT = "  - {id: redact, apply: [{redact: {kinds: [email]}}]}\n"
PREFIX = "  - {id: prefix, apply: [{prefix: {text: 'Write to help@example.com. '}}]}\n"
REPLACE = "  - {id: replace, apply: [{replace: {pattern: '[a-z]+@[a-z]+[.]com', text: somebody}}]}\n"
THERE = 'when: \'request.?team.orValue("") == "free"\''
APPLY = NARROW[NARROW.index("apply") : NARROW.index(", merge")]
ROUTE = f"routes:\n  - {{id: free, {THERE}, model: small, {APPLY}}}\n"
FIRST = 'routes:\n  - {id: first, when: \'request.?task.orValue("") == "chat"\', model: small}'
WIDE_THERE = WIDE.replace("wide,", f"wide, {THERE},")
ALERTED = """\
budgets:
  - id: month
    hard_limit_usd: 5
    window: {calendar: month, zone: UTC}
    thresholds: [{at_ratio: 0.5, rewrite: [{clamp_params: {max_output_tokens: {max: %d}}}]}]
  - id: day
    hard_limit_usd: 5
    window: {calendar: day, zone: UTC}
    thresholds: [{at_ratio: 0.5, rewrite: [{clamp_params: {max_output_tokens: {max: 800}}}]}]
"""


@pytest.mark.parametrize(
    ("rules", "idle"),
    [
        (f"rewrites:\n{NARROW}{WIDE}", True),
        (f"rewrites:\n{WIDE}{NARROW}", False),
        (f"rewrites:\n{NARROW}{SET}{WIDE}", False),
        (f"rewrites:\n{NARROW}{WIDE.replace('merge: min', 'merge: max')}", False),
        (f"rewrites:\n{REDACT}{REPLACE}", True),
        (f"rewrites:\n{REPLACE}{REDACT}", False),
        (f"rewrites:\n{REDACT}{PREFIX}{REPLACE}", False),
        (f"rewrites:\n{NARROW}" + ALERTED % 400, True),
        (ALERTED % 400, False),
        (f"{ROUTE}rewrites:\n{WIDE}", False),
        (f"{ROUTE}rewrites:\n{WIDE_THERE}", True),
        (f"{FIRST}{ROUTE.removeprefix('routes:')}rewrites:\n{WIDE_THERE}", False),
    ],
)
def test_a_rewrite_that_changes_nothing(tmp_path: Path, rules: str, idle: bool) -> None:
    found = {item.code for item in examine(checked(tmp_path, budgets=rules))}
    assert ("CL443" in found) is idle


@pytest.mark.parametrize("pattern", ["[[a]b", "\\\\pL+", "(?s)a{1000}", "(", "x{0,1000}"])
def test_patterns_print_nothing(pattern: str, recwarn: pytest.WarningsRecorder) -> None:
    assert all(isinstance(text, str) for text in texts_matching(pattern))
    assert not list(recwarn)
