"""Several processes on one ledger: weighted tokens and their overflow never exceed their limits."""

from __future__ import annotations

from decimal import Decimal

from costlens_policy import DeniedError, Guard, load
from tests.guard.company import REQUEST, write_company
from tests.ledger.crowd import PROCESSES

POLICY = """
budgets:
  - {id: quota, hard_limit_tokens: 9000, count: {input: 1, cached_input: 0.1, output: 6}, overflow: spare,
     window: {lifetime: true}}
  - {id: spare, hard_limit_usd: 0.006, window: {lifetime: true}}
"""
USAGE = {"prompt_tokens": 1000, "completion_tokens": 100, "prompt_tokens_details": {"cached_tokens": 5}}
EACH = 995 + Decimal("0.5") + 600
"""What a call adds to the quota; it may add 1,600 at most."""


def spend(folder: str, url: str) -> list[str]:
    """Call until nothing has room; return which budget counted each call."""
    counted = []
    with Guard(load(folder), url, alert_sinks=[]) as guard:
        while len(counted) < 20:
            try:
                with guard.call(REQUEST) as call:
                    call.settle(USAGE)
            except DeniedError:
                break
            counted += [seen.budget for seen in call.decision.balances]
    return counted


def test_processes_fill_a_quota_and_its_overflow(tmp_path):
    engine = write_company(tmp_path / "p", POLICY)
    url = f"sqlite:///{tmp_path / 'spend.db'}"
    with PROCESSES.Pool(2) as pool:
        results = pool.starmap(spend, [(str(tmp_path / "p"), url)] * 2)
    counted = [budget for result in results for budget in result]
    with Guard(engine, url, alert_sinks=[]) as guard:
        quota, spare = guard.spend()
    assert quota.used == counted.count("p/quota") * EACH
    assert spare.used == counted.count("p/spare") * Decimal("0.0012")
    assert (quota.held, spare.held) == (0, 0)
    assert quota.left is not None
    assert spare.left is not None
    assert 0 <= quota.left < 1600
    assert 0 <= spare.left < Decimal("0.0012")
