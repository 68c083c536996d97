"""The solver decides what the built-in procedure does not; it agrees with it where both answer, and with RE2."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from costlens_policy.assurance import Found, Nothing, Subject
from costlens_policy.checker import check
from costlens_policy.diagnostics.model import PolicyError
from costlens_policy.patterns import compile_pattern
from costlens_policy.proof import Holds, Refuted, prove
from costlens_policy.proof.doubts import doubt_about
from costlens_policy.proof.solver import Impossible, Possible, Solver
from costlens_policy.proof.solver.patterns import UntranslatableError, pattern_for
from costlens_policy.proof.ways import reaching
from tests.proof.worlds import World, worlds
from tests.soak import examples

z3: Any = pytest.importorskip("z3")

NOW: Final = datetime(2026, 11, 2, 12, tzinfo=UTC)
HEAD: Final = 'apiVersion: costlens-policy/v1\nkind: {}\nmetadata: {{name: main, version: "1"}}\n'
FILES: Final = {
    "catalogue.yaml": HEAD.format("Catalogue") + "models:\n"
    "  small: {provider: acme, prices: [{usd_per_million_tokens: {input: 0.1, output: 0.4}}]}\n"
    "  opus: {provider: acme, prices: [{usd_per_million_tokens: {input: 5, output: 25}}]}\n",
    "policy-set.yaml": HEAD.format("PolicySet") + "policies: [main.yaml]\ncatalogues: [catalogue.yaml]\n"
    "attributes: {a: {type: int, default: 0}, b: {type: int, default: 0}, at: {type: timestamp}}\n"
    "defaults: {access: allow, route: {model: small}, max_output_tokens: 1000}\n",
    "main.yaml": HEAD.format("Policy")
    + """\
on_error: deny
access:
  - {id: parts, when: 'request.?user.orValue("x").contains("bad")', effect: deny, reason: "no"}
  - {id: pattern, when: 'request.?project.orValue("x").matches("^tmp-[0-9]+$")', effect: deny, reason: "no"}
  - {id: sums, when: 'request.a + request.b > 100', effect: deny, reason: "no"}
  - {id: late, when: 'now.getHours() >= 22 && now.getMinutes() > 30', effect: deny, reason: "no"}
  - {id: case, when: 'request.?team.orValue("").lowerAscii() == "evil"', effect: deny, reason: "no"}
  - {id: old, when: 'request.?at.orValue(now) < now - duration("24h")', effect: deny, reason: "no"}
routes:
  - id: long
    when: 'request.?feature.orValue("").startsWith("ab") && request.?feature.orValue("").size() > 10'
    model: opus
""",
}


@pytest.mark.parametrize(
    ("when", "claim", "expected"),
    [
        ('request.?user.orValue("x").contains("really bad")', "effect: deny", Holds),
        ('request.?user.orValue("x").contains("ba")', "effect: deny", Refuted),
        ('request.?project.orValue("x").matches("^tmp-7[0-9]$")', "effect: deny", Holds),
        ('request.?project.orValue("x").matches("tmp-7[0-9]$")', "effect: deny", Refuted),
        ("request.a > 60 && request.b > 60", "effect: deny", Holds),
        ("request.a > 60 && request.b > 30", "effect: deny", Refuted),
        ("request.a > 9223372036854775800 && request.b > 100", "effect: deny", Holds),  # the sum fails
        ("now.getHours() == 23 && now.getMinutes() == 45", "effect: deny", Holds),
        ("now.getHours() == 22 && now.getMinutes() >= 30", "effect: deny", Refuted),
        ('request.?team.orValue("") == "eViL"', "effect: deny", Holds),
        ('has(request.at) && request.at < now - duration("48h")', "effect: deny", Holds),
        ('has(request.at) && request.at < now - duration("12h")', "effect: deny", Refuted),
        ('request.?feature.orValue("").size() < 11', 'never: model.name == "opus"', Holds),
        ('request.?feature.orValue("").size() < 12', 'never: model.name == "opus"', Refuted),
    ],
)
def test_what_the_solver_decides(when: str, claim: str, expected: type, tmp_path: Path) -> None:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    invariant = f"policy_set: policy-set.yaml\ninvariants:\n  - {{id: p, title: t, when: '{when}', {claim}}}\n"
    (tmp_path / "invariants.yaml").write_text(HEAD.format("Invariants") + invariant)
    (proof,) = prove([tmp_path], now=NOW).proofs
    assert isinstance(proof.verdict, expected), proof.verdict


@given(worlds())
@settings(max_examples=examples(5), phases=[Phase.generate])
def test_both_agree_where_both_answer(tmp_path_factory: pytest.TempPathFactory, world: World) -> None:
    folder = tmp_path_factory.mktemp("world")
    world.write(folder)
    try:
        bundle = check(folder / "policy-set.yaml")
    except PolicyError:
        return
    subject = Subject(bundle, NOW)
    solver = Solver(subject.plan, subject.domain)
    for route in (*subject.rules["routes"], subject.default):
        goal = reaching(subject, route)
        found, solved = subject.find(goal), solver.solve(goal)
        if isinstance(found, Found):
            assert not isinstance(solved, Impossible), (world.documents, route.id)
        if (
            isinstance(found, Nothing)
            and not doubt_about(subject.plan, subject.domain, goal)
            and isinstance(solved, Possible)
        ):
            # The solver knows less of what it does not read, and of budgets; what it found is not true of the request.
            witness = subject.situated(solved.values)
            assert witness is None or not subject.meets(goal, witness.situation), (world.documents, route.id)


_ATOMS: Final = st.sampled_from(["a", "b", ".", r"\d", r"\w", r"\s", "[ab]", "[^a]", "[a-c0-1]", r"\.", "-"])
_TIMES: Final = st.sampled_from(["*", "+", "?", "{2}", "{1,2}", "{2,}"])
_PATTERNS: Final = st.recursive(
    _ATOMS,
    lambda inner: st.one_of(
        st.builds(lambda one, two: one + two, inner, inner),
        st.builds(lambda one, two: f"(?:{one}|{two})", inner, inner),
        st.builds(
            lambda one, many: f"(?:{one}){many}", inner, st.sampled_from(["*", "+", "?", "{2}", "{1,2}", "{2,}"])
        ),
    ),
    max_leaves=4,
)


@given(
    st.builds("{}{}{}".format, st.sampled_from(["", "^"]), _PATTERNS, st.sampled_from(["", "$"])),
    st.text(alphabet="abc01 -.\n_é", max_size=5),
)
@settings(max_examples=examples(40))
def test_patterns_mean_what_they_mean_to_re2(pattern: str, text: str) -> None:
    try:
        translated = pattern_for(z3, pattern)
    except UntranslatableError:
        return
    solver = z3.Solver()
    solver.add(z3.InRe(z3.StringVal(text), translated))
    matches = compile_pattern(pattern).search(text.encode(), 0) is not None
    assert (solver.check() == z3.sat) is matches
