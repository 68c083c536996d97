"""Ask for the best model of a task within a budget of one cent."""

from __future__ import annotations

from pathlib import Path

from costlens_policy import Router, load

PROMPT = "Where is my parcel? It was to arrive on Monday."


def main() -> None:
    router = Router(load(Path(__file__).parent))
    for task in ("ticket-triage", "summarization", "brainstorming"):
        best = router.get_optimal_model(task=task, prompt=PROMPT, cost_budget=0.01)
        print(f"{task:14} -> {best.name:14} {best.decision.prompt!r}")  # noqa: T201 - an example prints


if __name__ == "__main__":
    main()
