"""Proofs of equivalence against random requests: a mutant that is proved equivalent is never told apart by any."""

from __future__ import annotations

from pathlib import Path

import pytest

from costlens_policy.assurance import Subject
from costlens_policy.engine.decide import decide
from costlens_policy.errors import RequestError
from costlens_policy.testing.expected import everything_expected, told_apart
from costlens_policy.testing.fuzz import random_situations
from costlens_policy.testing.mutation.bench import Bench, benches_of
from costlens_policy.testing.mutation.changed import InvalidMutantError
from costlens_policy.testing.mutation.equivalence import Equivalence
from costlens_policy.testing.observation import observe
from costlens_policy.testing.run import ready_suites
from costlens_policy.testing.vocabulary import Vocabulary

ROOT = Path(__file__).parents[3]
SETS = ("policies", "examples/vllmsr-boolean-tree", "examples/ccr-ordered-rules", "examples/agentgateway-tenant-limits")


def bench_of(folder: str) -> Bench:
    return benches_of(ready_suites([ROOT / folder]).suites)[0]


@pytest.mark.parametrize("folder", SETS)
def test_no_random_request_tells_equivalent_mutants_apart(folder: str):
    bench = bench_of(folder)
    subject = Subject(bench.tested.bundle, bench.cases[0].case.now)
    equivalence, known = Equivalence(subject), bench.tested.known
    plans = []
    for mutant in bench.mutants[:: 1 if len(bench.mutants) < 150 else 2]:
        try:
            plan = bench.workshop.plan_of(mutant)
        except InvalidMutantError:
            continue
        if equivalence.proof(mutant, plan, equivalence.changes(mutant, plan)):
            plans.append((mutant, plan, Vocabulary(plan)))
    assert plans or folder != "policies"
    for situation in random_situations(subject, seed=1, number=40):
        at = (situation.request, situation.balances, situation.now)
        try:
            expected = everything_expected(observe(decide(subject.plan, *at), known), known)
        except RequestError:
            continue
        for mutant, plan, words in plans:
            assert told_apart(expected, observe(decide(plan, *at), words), known) is None, mutant
