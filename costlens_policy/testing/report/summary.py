"""The last lines of a report: how many cases, how they went, how much is covered, what is missing."""

from __future__ import annotations

from costlens_policy.testing.results import CaseOutcome, Run, Shortfall

__all__ = ["nothing_to_run", "shortfall_sentence", "summary_line"]


def summary_line(run: Run) -> str:
    """Return a line such as ``12 cases in 2 suites: 10 passed, 1 failed, 1 vacuous``."""
    counts = run.counts()
    parts = [
        f"{number} {_words(outcome, number)}"
        for outcome, number in counts.items()
        if number or outcome is CaseOutcome.PASSED
    ]
    total = sum(counts.values())
    return f"{_counted(total, 'case')} in {_counted(len(run.suites), 'suite')}: {', '.join(parts)}"


def shortfall_sentence(item: Shortfall) -> str:
    whose = f"the rules that suite `{item.where}` covers" if item.where else "the rules of this run"
    return f"{item.reached} % of {whose} are covered, and {item.required} % are required"


def nothing_to_run(run: Run) -> str:
    """Return why no case ran, where nothing is wrong with any file."""
    if not run.found:
        where = " and ".join(f"`{path}`" for path in run.paths) or "no path"
        return f"nothing to run: there is no suite in {where}"
    return f"nothing to run: no case fits the filter `{run.filtered}`"


def _words(outcome: CaseOutcome, number: int) -> str:
    return "errors" if outcome is CaseOutcome.ERROR and number != 1 else str(outcome)


def _counted(number: int, word: str) -> str:
    return f"{number:,} {word}" if number == 1 else f"{number:,} {word}s"
