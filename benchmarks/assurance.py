"""What ``check`` takes with all findings, beside the same without them, however many rules there are.

``python -m benchmarks.assurance [--quick] [--json]``.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from benchmarks.section import Section, run_section
from costlens_policy.assurance import Found, Subject
from costlens_policy.assurance.examine import examine
from costlens_policy.checker import check
from costlens_policy.clock import system_now

__all__ = ["section", "write_rules"]

_SIZES: Final = (10, 200, 2000)
_QUICK: Final = (10, 200)
_SET: Final = """\
apiVersion: costlens-policy/v1
kind: PolicySet
metadata: {name: s, version: "1"}
policies: [rules.yaml]
catalogues: [models.yaml]
attributes:
  tier: {type: string, default: free, values: [free, pro, team]}
defaults: {access: allow, route: {model: small}, max_output_tokens: 1000}
"""
_MODELS: Final = """\
apiVersion: costlens-policy/v1
kind: Catalogue
metadata: {name: models, version: "1"}
models:
  small: {provider: acme, context_window: 128000, prices: [{usd_per_million_tokens: {input: 0.1, output: 0.4}}]}
  large: {provider: acme, context_window: 400000, prices: [{usd_per_million_tokens: {input: 2, output: 8}}]}
"""
_HEAD: Final = 'apiVersion: costlens-policy/v1\nkind: Policy\nmetadata: {name: rules, version: "1"}\non_error: deny\n'


def write_rules(folder: Path, rules: int) -> None:
    """Write a policy set as people write them: nine routes by task, size and tier for each deny by team."""
    (folder / "set.yaml").write_text(_SET, encoding="utf-8")
    (folder / "models.yaml").write_text(_MODELS, encoding="utf-8")
    denies = "".join(
        f"  - {{id: d{at}, effect: deny, reason: no, "
        f'when: \'has(request.team) && request.team == "team-{at}x" && request.tier == "free"\'}}\n'
        for at in range(max(1, rules // 10))
    )
    routes = "".join(
        f'  - {{id: r{at}, model: {("small", "large")[at % 2]}, when: \'request.?task.orValue("") == "task-{at}x" '
        f'&& request.?prompt_tokens.orValue(0) > {at % 7 * 1000} && request.tier == "{("free", "pro", "team")[at % 3]}"'
        f"'}}\n"
        for at in range(rules - rules // 10)
    )
    (folder / "rules.yaml").write_text(f"{_HEAD}access:\n{denies}routes:\n{routes}", encoding="utf-8")


def _row(rules: int) -> tuple[str | float | None, ...]:
    """Return the seconds of CPU without and with findings, their ratio, and requests decided in a second."""
    with TemporaryDirectory() as folder:
        write_rules(Path(folder), rules)
        begin = time.process_time()
        bundle = check(folder)
        checked = time.process_time() - begin
        begin = time.process_time()
        examine(bundle)
        examined = time.process_time() - begin
        subject = Subject(bundle, system_now())
        found = subject.find(subject.rules["routes"][-1].goal)
        assert isinstance(found, Found)
        situation = subject.situation(found.values)
        begin, times = time.process_time(), 2000
        for _ in range(times):
            subject.decided(situation)
        per_second = times / (time.process_time() - begin)
    return f"{rules} rules", checked, checked + examined, (checked + examined) / checked, per_second


def section(*, quick: bool) -> Section:
    _row(10)  # imports, once
    rows = tuple(_row(rules) for rules in (_QUICK if quick else _SIZES))
    columns = ("", "check, s", "with findings, s", "ratio", "requests decided/s")
    return Section("assurance", "seconds of CPU of check, without and with all findings", columns, rows)


if __name__ == "__main__":
    sys.exit(run_section("assurance", section, sys.argv[1:]))
