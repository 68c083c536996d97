"""A shared decision is the one that would have been made."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from costlens_policy import load
from costlens_policy.engine.decide import decide
from costlens_policy.errors import RequestError
from costlens_policy.replay.verdicts import Verdicts
from tests.replay.conftest import folder_of

NOW = datetime(2026, 6, 1, 10, tzinfo=UTC)
ROUTES = """
routes:
  - {id: team, when: 'has(request.team) && request.team == "a"', model: small, fallbacks: [large]}
  - {id: asked, when: 'has(request.asked_model) && request.asked_model.name == "large"', model: large}
  - {id: task, when: 'has(request.task) && request.task == "x"', model: small}
"""
with TemporaryDirectory() as folder:
    PLAN = load(folder_of(Path(folder), ROUTES)).plan
VERDICTS = Verdicts(PLAN)

REQUESTS = st.fixed_dictionaries(
    {},
    optional={
        "team": st.sampled_from(["a", "b", 5]),
        "task": st.sampled_from(["x", "y"]),
        "model": st.sampled_from(["large", "small", "nobody"]),
        "user": st.text(max_size=3) | st.just(7),
        "prompt_tokens": st.integers(18_990, 19_010) | st.integers(98_990, 99_010) | st.integers(-1, 200_000),
        "max_output_tokens": st.sampled_from([10, 1000, 8000, 9000]),
        "cost_budget": st.sampled_from([0.01, 1.0]),
        "tags": st.just(["t"]),
    },
)


@given(REQUESTS)
def test_sharing_changes_nothing(request):
    try:
        expected = decide(PLAN, request, None, NOW)
    except RequestError as error:
        with pytest.raises(RequestError, match=re.escape(str(error))):
            VERDICTS.decide(request, {}, NOW)
        return
    got = VERDICTS.decide(request, {}, NOW)
    for name in ("effect", "model", "rule", "fallbacks", "rewrites"):
        assert getattr(got, name) == getattr(expected, name)


def test_requests_that_differ_in_nothing_a_rule_reads_share_a_decision():
    verdicts = Verdicts(PLAN)
    for number in range(10):
        verdicts.decide({"user": f"u{number}", "prompt_tokens": 100 + number}, {}, NOW)
    assert verdicts.shared == 9
