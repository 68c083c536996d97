"""The `Router` of LiteLLM's SDK under policies, without a proxy."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from tests.integration.litellm.proxies import ROOT, write_policies


def test_a_guarded_router_counts_every_call(python: Path, upstream: str, tmp_path: Path) -> None:
    policies = write_policies(tmp_path / "policies")
    arguments = [upstream, str(policies), f"sqlite:///{tmp_path}/spend.db"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    ran = subprocess.run(
        [python, "-m", "tests.integration.litellm.router_calls", *arguments],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=180, check=False,
    )  # fmt: skip
    lines = [line for line in ran.stdout.splitlines() if line.startswith("DONE ")]
    assert lines, ran.stdout[-2000:] + ran.stderr[-4000:]
    done = json.loads(lines[0].removeprefix("DONE "))

    def cost(name: str) -> tuple[object, float, float]:
        answered, used, held = done[name]
        return answered, float(used), float(held)

    assert cost("chat") == cost("stream") == cost("completions") == cost("responses") == (True, 30, 0)
    assert cost("messages") == (True, 135, 0)
    assert cost("embeddings") == (False, 10, 0)
    assert cost("fallback") == (True, 80, 0)
    assert cost("failing") == ("InternalServerError", 0, 0)
    assert cost("denied") == ("DeniedError", 0, 0)
    assert cost("keyword") == (True, 0, 0)  # the keyword wins
    assert [float(part) for part in done["other"]] == [30, 0]
    assert done["runs"] == [["tree", 0], ["tree/a", 2], ["tree/b", 2], ["tree/c", 2]]
    assert "asynchronous" in done["synchronous"]
    assert cost("image") == ("RefusedError", 0, 0)
    assert done["plain"]
