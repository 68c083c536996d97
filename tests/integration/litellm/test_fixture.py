"""The fixture of other budget guards: 100 calls against a budget of which five fit, as `make fixture` runs it."""

from __future__ import annotations

from benchmarks.fixture import CALLS, SCENARIOS, outcomes


def test_five_of_a_hundred_calls_fit() -> None:
    found = {(item.scenario, item.guard): item for item in outcomes()}
    assert len(found) == 3 * len(SCENARIOS)
    ours = [item for item in found.values() if item.guard.startswith("costlens-policy")]
    for item in ours:
        fit = 0 if item.scenario == "stalled store" else 5
        assert (item.served, item.refused, item.unanswered) == (fit, CALLS - fit, 0), item
        assert not item.above
