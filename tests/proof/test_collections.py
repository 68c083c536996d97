"""Lists with repeated elements, and maps: nothing that is proved about them is refuted by trying small ones."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st

from costlens_policy import load
from costlens_policy.engine.decide import decide
from costlens_policy.proof import Holds, Refuted, prove
from tests.soak import examples

NOW: Final = datetime(2026, 11, 2, 12, tzinfo=UTC)
TAGS: Final = "request.?tags.orValue([])"
PLAN: Final = 'request.?metadata.orValue({}).?plan.orValue("")'
OF_LISTS: Final = (
    f'"a" in {TAGS}', f'"b" in {TAGS}', f'!("c" in {TAGS})', f"{TAGS}.size() > 1", f"{TAGS}.size() > 2",
    f"{TAGS}.size() == 2", f"{TAGS}.size() == 0", "has(request.tags)", f'{TAGS} == ["a", "a"]',
    f'{TAGS} == ["a", "b"]', f'sets.contains(["a", "b"], {TAGS})', f'sets.contains({TAGS}, ["a", "b"])',
    f'{TAGS}.exists(t, t == "a")', f'{TAGS}.all(t, t == "a")', f'{TAGS}.all(t, t != "b")',
    f'{TAGS}.exists_one(t, t == "a")', f'{TAGS}.filter(t, t == "a").size() > 1', '"a" in request.tags',
)  # fmt: skip
OF_MAPS: Final = (
    "has(request.metadata)", 'has(request.metadata) && "plan" in request.metadata', f'{PLAN} == "pro"',
    f'{PLAN} != ""', f"string({PLAN}).size() > 2", "request.?metadata.orValue({}).size() > 1",
    "has(request.metadata) && has(request.metadata.team)", 'request.metadata.plan == "pro"',
    'has(request.metadata) && request.metadata.all(k, k == "plan")',
)  # fmt: skip
ATOMS: Final = (*OF_LISTS, *OF_MAPS)


def _every() -> list[dict[str, Any]]:
    lists = [None, *(list(items) for size in range(4) for items in product("abc", repeat=size))]
    maps: list[dict[str, Any] | None] = [None, {}, {"plan": "pro"}, {"plan": ""}, {"plan": "x"}, {"team": "t"}]
    maps += [{"plan": "pro", "team": "t"}, {"plan": "free", "team": ""}]
    found = ({"tags": tags, "metadata": values} for tags, values in product(lists, maps))
    return [{"prompt": "Hi.", **{k: v for k, v in item.items() if v is not None}} for item in found]


EVERY: Final = _every()


@st.composite
def conditions(draw: st.DrawFn) -> str:
    parts = draw(st.lists(st.sampled_from(ATOMS), min_size=1, max_size=4))
    parts = [f"!({part})" if draw(st.booleans()) else f"({part})" for part in parts]
    return draw(st.sampled_from([" && ", " && ", " || "])).join(parts)


@given(conditions())
@settings(max_examples=examples(5), deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
def test_verdicts_agree_with_trying_small_lists_and_maps(condition: str) -> None:
    agree(condition)


def agree(condition: str) -> str:
    """Assert that no list or map refutes what is proved of a condition; return the verdict."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        for stem, document in _documents(condition).items():
            (folder / f"{stem}.yaml").write_text(json.dumps(document))
        proved = prove([folder], now=NOW)
        assume(proved.proofs)
        plan = load(folder / "set.yaml", cache=False).plan
    verdict = proved.proofs[0].verdict
    if isinstance(verdict, Holds):
        for request in EVERY:
            assert decide(plan, request, {}, NOW).model != "large", (condition, request)
    elif isinstance(verdict, Refuted):
        assert verdict.witness.decision.model == "large"
    return type(verdict).__name__


def _documents(condition: str) -> dict[str, dict[str, Any]]:
    prices = [{"usd_per_million_tokens": {"input": 1, "output": 2}}]
    models = {name: {"provider": "acme", "prices": prices} for name in ("small", "large")}
    invariant = {"id": "p", "title": "t", "never": 'model.name == "large"'}
    contents: dict[str, dict[str, Any]] = {
        "rules": {"kind": "Policy", "on_error": "skip", "routes": [{"id": "r", "when": condition, "model": "large"}]},
        "models": {"kind": "Catalogue", "models": models},
        "set": {
            "kind": "PolicySet", "policies": ["rules.yaml"], "catalogues": ["models.yaml"],
            "attributes": {"tags": {"type": "list(string)"}},
            "defaults": {"access": "allow", "route": {"model": "small"}, "max_output_tokens": 100},
        },
        "invariants": {"kind": "Invariants", "policy_set": "set.yaml", "invariants": [invariant]},
    }  # fmt: skip
    head = {"apiVersion": "costlens-policy/v1", "metadata": {"name": "rules", "version": "1"}}
    return {stem: head | content for stem, content in contents.items()}
