"""A service with four threads that answer for two teams until their daily budget is spent."""

from __future__ import annotations

import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from costlens_policy import DeniedError, Guard, load
from costlens_policy.guard import Event


class Provider:
    """A stub of a provider's client: answers at once, and reports usage."""

    def complete(self, model: str, messages: list[dict[str, Any]], max_completion_tokens: int) -> dict[str, Any]:
        written = random.randint(max_completion_tokens // 4, max_completion_tokens)
        usage = {"prompt_tokens": 1500, "completion_tokens": written}
        return {"model": model, "choices": [{"message": {"content": "…"}}], "usage": usage}


class Service:
    """Answers questions through one guard that all its threads share."""

    def __init__(self, guard: Guard, provider: Provider) -> None:
        self._guard = guard
        self._provider = provider

    def answer(self, team: str, question: str) -> str:
        """Return who answered, or why nobody did."""
        request = {"team": team, "prompt": question, "prompt_tokens": 1500}
        try:
            with self._guard.call(request) as call:
                response = self._provider.complete(call.model, call.messages, **call.params)
                call.settle(response)
        except DeniedError as denied:
            return f"denied by {denied.budget}"
        return call.model


def main() -> None:
    with TemporaryDirectory() as folder:
        ledger = f"sqlite:///{folder}/spend.db"
        with Guard(load(Path(__file__).parent), ledger, alert_sinks=[show]) as guard:
            service = Service(guard, Provider())
            with ThreadPoolExecutor(4) as threads:
                teams = ["support"] * 150 + ["sales"] * 20
                outcomes = Counter(zip(teams, threads.map(service.answer, teams, ["Where is it?"] * 170), strict=True))
            guard.flush()
            for (team, outcome), times in sorted(outcomes.items()):
                say(f"{team:8} {outcome:26} {times:3} times")
            for balance in guard.spend():
                say(f"{balance.key:8} used ${balance.used} of ${balance.limit}, resets at {balance.resets_at}")


def show(event: Event) -> None:
    say(f"{event.kind:8} {event.key}: {event.text}")


def say(text: str) -> None:
    print(text)  # noqa: T201 - an example prints


if __name__ == "__main__":
    main()
