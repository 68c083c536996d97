"""The demo: real policies decide real requests, a change of policy is judged, and the spend is reported.

1. The reference policies decide sample requests: model, prompt, allowed or denied, cost, and why.
2. A policy that stands on measured quality decides questions that it was not fitted to, for which the answers of nine
   models are recorded: who was right, and at what cost? Then a rule that was written down without measuring decides
   problems for which the answers of two models are recorded. Without recorded answers, the reference policies are
   compared with one model for everything, by stated quality.
3. Two versions of a policy are compared over recorded sessions of coding agents, or else over synthetic ones.
4. A report on synthetic calls of a company is written as one HTML page.
5. The reference policies are served over HTTP, and asked from Node.js and from Python.
"""

from __future__ import annotations

import sys
from pathlib import Path

from answering import who_is_right
from comparing import policy_change
from deciding import decided, expected_quality
from measuring import measured_policy
from rich.console import Console
from serving import served
from spending import spending

from costlens_policy import load

ROOT = Path(__file__).resolve().parents[2]
RECORDED = ROOT.parent / "shared" / "data"
WRITTEN = ROOT / "build" / "demo"


def main(recorded: Path = RECORDED, written: Path = WRITTEN) -> None:
    """Print the demo. ``recorded`` is the folder of real traffic, if any; the page goes to ``written``."""
    console = Console(width=None if Console().is_terminal else 140, highlight=False)
    engine, requests = load(ROOT / "policies"), ROOT / "examples" / "demo" / "requests.jsonl"
    console.print(decided(engine, requests))
    if (recorded / "llmrouter").is_dir():
        console.print(measured_policy(recorded / "llmrouter" / "train.jsonl.gz", ROOT / "policies" / "measured"))
    if (recorded / "routellm").is_dir():
        console.print(who_is_right(recorded / "routellm", ROOT / "examples" / "strong-or-weak"))
    else:
        console.print(expected_quality(engine, requests))
    for shown in policy_change(ROOT / "examples", recorded / "claude_code_traces" / "dev_sessions.jsonl"):
        console.print(shown)
    for part in (*spending(written), *served(ROOT / "policies", ROOT / "clients" / "node", written)):
        console.print(part)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:3]))
