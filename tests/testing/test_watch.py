from __future__ import annotations

import os
from collections.abc import Callable
from itertools import islice
from pathlib import Path

from costlens_policy.testing import Run, run_suites
from costlens_policy.testing.watch import watch

RunText = Callable[..., Run]


def test_a_change_leads_to_a_new_run(company: Path, run_text: RunText) -> None:
    run_text("cases: [{name: a, request: {task: review}, expect: {model: small}}]")
    edits: list[Callable[[], object]] = [
        lambda: None,
        lambda: _edit(company / "routing.yaml", "model: small", "model: large"),
        lambda: (company / "new_test.yaml").write_text("apiVersion: x"),
        lambda: (company / "new_test.yaml").unlink(),
    ]
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        edits.pop(0)()

    events = watch(["."], lambda: run_suites(["."]), interval=0.1, sleep=sleep)
    seen = [(event.changed, event.run.exit_code) for event in islice(events, 4)]
    assert seen == [((), 0), (("routing.yaml",), 4), (("new_test.yaml",), 1), (("new_test.yaml",), 4)]
    assert waits == [0.1] * 4


def test_files_beside_the_policies_count_too(company: Path, run_text: RunText) -> None:
    run_text("cases: [{name: a, expect: {effect: allow}}]")
    (company / "suites").mkdir()
    suite = (company / "trial_test.yaml").read_text().replace("policy-set.yaml", "../policy-set.yaml")
    (company / "trial_test.yaml").unlink()
    (company / "suites" / "trial_test.yaml").write_text(suite)
    paths = ["suites"]
    edits = iter([lambda: _edit(company / "catalogue.yaml", "input: 1,", "input: 100,")])
    events = watch(paths, lambda: run_suites(paths), sleep=lambda _: next(edits)())
    next(events)
    assert next(events).changed == ("catalogue.yaml",)


def _edit(file: Path, old: str, new: str) -> None:
    file.write_text(file.read_text().replace(old, new))
    # A clock with coarse ticks may give both versions of a file the same time.
    os.utime(file, ns=(0, file.stat().st_mtime_ns + 1))
