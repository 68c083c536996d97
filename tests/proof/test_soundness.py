"""Nothing that is proved is refuted by any request of a small world, and each refutation is one by another reading."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from hypothesis import HealthCheck, assume, given, settings

from costlens_policy import load
from costlens_policy.engine.decide import decide
from costlens_policy.errors import CostlensPolicyError
from costlens_policy.proof import Holds, Refuted, Vacuous, prove
from tests.proof.worlds import Moment, World, moments, worlds
from tests.soak import examples

NOW: Final = datetime(2026, 11, 2, 12, tzinfo=UTC)
SAMPLE: Final = 600


@cache
def _every() -> tuple[Moment, ...]:
    return tuple(moments())


@given(worlds())
@settings(max_examples=examples(7), deadline=None, suppress_health_check=list(HealthCheck))
def test_verdicts_agree_with_every_request_of_a_small_world(world: World) -> None:
    agree(world)


def agree(world: World) -> str:
    """Assert that a verdict agrees with trying requests; return what it is."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        world.write(folder)
        proved = prove([folder], now=NOW)
        assume(proved.proofs)
        plan = load(folder / "policy-set.yaml", cache=False).plan
    verdict = proved.proofs[0].verdict
    if isinstance(verdict, Refuted):
        witness = verdict.witness
        used = [balance.used for (budget, _), balance in witness.balances.items() if budget == "rules/month"]
        moment = Moment(witness.request, witness.now.hour, used[0] if used else Decimal(0))
        assert world.is_broken_by(moment, witness.decision), (world.invariant, witness)
    if isinstance(verdict, Holds | Vacuous):
        for moment in random.Random(7).sample(_every(), SAMPLE):
            try:
                decision = decide(plan, moment.request, moment.balances, moment.now)
            except CostlensPolicyError:
                continue
            assert not world.is_broken_by(moment, decision), (world.documents, moment, decision)
            if isinstance(verdict, Vacuous):
                assert not any(world.applies(moment, model) for model in ("small", "mid", "large")), moment
    return type(verdict).__name__
