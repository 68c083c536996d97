"""What a guard knows of prompt caches: on recorded sessions, in order and out of it, and never more than so many."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.warm_caches import measured
from costlens_policy.catalogue import Model, PromptCache, Usage
from costlens_policy.usage.warm import WarmPrompts

NOW = datetime(2026, 5, 1, tzinfo=UTC)
MARKED = Model("claude", provider="anthropic")
AUTOMATIC = Model("gpt", provider="openai")


def test_recorded_sessions(shared_data: Path, tmp_path: Path) -> None:
    """What is told is never more than a provider reads, and what replay tells is the same but for parts of blocks."""
    lines = (shared_data / "claude_code_traces" / "dev_sessions.jsonl").read_text().splitlines()
    calls = Counter(json.loads(line)["session_id"] for line in lines)
    short = [line for line in lines if calls[json.loads(line)["session_id"]] < 100]
    (tmp_path / "sessions.jsonl").write_text("\n".join(short) + "\n")
    found = measured(tmp_path / "sessions.jsonl")
    assert (found.calls, found.replay_differs, found.too_many) == (263, 0, 0)
    assert found.too_few < 0.02 * found.read
    assert found.exact > 0.95 * found.calls


def after(model: Model, *calls: tuple[float, Usage]) -> WarmPrompts:
    warm = WarmPrompts()
    for seconds, usage in calls:
        warm.learn("s", model, usage, NOW + timedelta(seconds=seconds))
    return warm


def held(warm: WarmPrompts, seconds: float) -> int:
    found = warm.of("s", NOW + timedelta(seconds=seconds))
    assert 0 not in found.values()
    return next(iter(found.values()), 0)


def test_what_a_request_marks() -> None:
    warm = after(MARKED, (0, Usage(input=50, cache_read=1000, cache_write=200)))
    assert (held(warm, 0), held(warm, 299.9), held(warm, 300)) == (1200, 1200, 0)


def test_an_empty_session_is_none() -> None:
    warm = WarmPrompts()
    warm.learn("", MARKED, Usage(cache_write=1000), NOW)
    assert warm.of("", NOW) == {}


def test_a_call_without_marks_leaves_what_there_was() -> None:
    warm = after(MARKED, (0, Usage(cache_write=1000)), (200, Usage(input=5000)))
    assert (held(warm, 299), held(warm, 301)) == (1000, 0)


def test_what_is_kept_for_an_hour_is_read_for_another_one() -> None:
    warm = after(MARKED, (0, Usage(cache_write_1h=9000)), (3000, Usage(cache_read=9000)))
    assert (held(warm, 6599), held(warm, 6600)) == (9000, 0)


def test_what_is_written_for_both_lasts_as_long_as_the_shorter() -> None:
    warm = after(MARKED, (0, Usage(cache_write=100, cache_write_1h=9000)))
    assert (held(warm, 299), held(warm, 300)) == (9100, 0)


def test_automatic_caches_keep_whole_steps_of_every_prompt() -> None:
    assert held(after(AUTOMATIC, (0, Usage(input=1023))), 0) == 0
    assert held(after(AUTOMATIC, (0, Usage(input=1024))), 0) == 1024
    assert held(after(AUTOMATIC, (0, Usage(input=1000, cache_read=1024))), 0) == 1920
    assert held(after(AUTOMATIC, (0, Usage(input=2000, input_image=9000, output=9000))), 0) == 1920


def test_calls_that_are_settled_out_of_order() -> None:
    warm = after(MARKED, (100, Usage(cache_write=5000)), (0, Usage(cache_write=1000)))
    assert held(warm, 0) == 5000


def test_nothing_is_known_of_other_caches() -> None:
    assert held(after(Model("own", provider="self-hosted"), (0, Usage(cache_read=9000))), 0) == 0
    stated = Model("own", prompt_cache=PromptCache(60.0, automatic=True))
    assert (held(after(stated, (0, Usage(input=7))), 59), held(after(stated, (0, Usage(input=7))), 60)) == (7, 0)
    assert held(after(Model("claude-on-aws", provider="aws"), (0, Usage(cache_write=9000))), 0) == 9000


def test_memory_is_bounded() -> None:
    warm = WarmPrompts(most=3)
    for number in range(5):
        warm.learn(f"s{number}", MARKED, Usage(cache_write=1000), NOW)
        warm.learn("s0", MARKED, Usage(cache_write=1000), NOW)
    assert len(warm) == 3
    assert [bool(warm.of(f"s{number}", NOW)) for number in range(5)] == [True, False, False, True, True]
