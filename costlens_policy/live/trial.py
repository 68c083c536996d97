"""A version of the policies on trial: beside the one that serves, or for a share of the requests."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

from costlens_policy.api import Engine
from costlens_policy.backlog import Backlog
from costlens_policy.clock import system_now
from costlens_policy.compiler.plan import Plan
from costlens_policy.engine.decide import decide
from costlens_policy.engine.decision import Decision
from costlens_policy.engine.mask import Mask
from costlens_policy.errors import RequestError
from costlens_policy.frozen import frozen
from costlens_policy.observers import ChargedCall, Observer, Observers, observers_of

if TYPE_CHECKING:
    from costlens_policy.engine.context import Balances
    from costlens_policy.quantiles import Measures

__all__ = ["Trial", "TrialStatus"]

_LOG: Final = logging.getLogger("costlens_policy.live")
_STATE: Final = ("held", "override", "topup", "started_at", "earlier", "set_aside", "reserved", "recent", "approvals")
_COMPARED: Final = ("effect", "model", "fallbacks", "rule")
"""What a difference is, in the words of a case's expectation."""


@frozen
class TrialStatus:
    """What came of a trial so far.

    ``live`` and ``candidate`` are how many requests each has decided. ``compared`` of them were decided by the other
    one, too, and ``different`` of these came to something else: ``differences`` has how often, by what was different.
    ``rejected`` requests are not acceptable to the other version. ``dropped`` could not be compared in time.
    """

    live: int
    candidate: int
    compared: int
    different: int
    rejected: int
    dropped: int
    differences: Mapping[str, int]


class Trial(Engine):
    """Two versions of the policies: each decision of one is made by the other as well, and the differences are counted.

    ``live`` and ``candidate`` are engines, live policies among them. With ``share`` zero the candidate is in shadow: it
    decides nothing that is used. Else it serves that share of the requests, from 0 to 1: those whose value of ``key``,
    an attribute, falls into it by a hash, so that the same user or session always gets the same version. Requests
    without it stay with the live one.

    Comparing happens later, in a thread, on the balances that the decision saw; what does not fit into ``buffer`` is
    dropped and counted. The first ``keep`` differing decisions of each kind are kept as cases, with ``mask`` on their
    texts. Budgets are charged by the version that decided: those of both are the same accounts where their names,
    windows and units are. Guards take a trial in place of an engine. Safe for threads.
    """

    __slots__ = (
        "_backlog", "_candidate", "_cases", "_counts", "_differences", "_keep", "_key", "_live", "_lock", "_mask",
        "_salt", "_share",
    )  # fmt: skip

    def __init__(
        self,
        live: Engine,
        candidate: Engine,
        *,
        share: float = 0.0,
        key: str = "session",
        salt: str = "",
        buffer: int = 1_000,
        keep: int = 20,
        mask: Mask | None = None,
        log: Observer | Sequence[Observer] | None = None,
    ) -> None:
        if not 0 <= share <= 1:
            raise ValueError(f"`share` must be from 0 to 1, got `{share}`")
        if share and key not in live.plan.attributes:
            raise ValueError(f"`key` must be an attribute of requests, got `{key}`")
        self._live: Final = live
        self._candidate: Final = candidate
        self._share = share
        self._key = key
        self._salt = salt
        self._keep = keep
        self._mask = mask or Mask()
        self._counts: Counter[str] = Counter()
        self._differences: Counter[str] = Counter()
        self._cases: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
        self._lock = Lock()
        self._backlog: Backlog[tuple[Decision, str, bool]] = Backlog(self._compare_all, buffer)
        told = observers_of(log, live.plan)
        self._decide = decide
        self.log = Observers([*(() if told is None else told.all), self])

    @property
    def plan(self) -> Plan:  # type: ignore[override]  # of an engine it is what it was made with
        """The plan of the version that serves; that of the candidate where ``plan_for`` gives it."""
        return self._live.plan

    @property
    def status(self) -> TrialStatus:
        """What came of it so far."""
        with self._lock:
            counts, differences = self._counts.copy(), dict(self._differences)
        return TrialStatus(
            counts["live"], counts["candidate"], counts["compared"], counts["different"], counts["rejected"],
            self._backlog.full + self._backlog.failed, differences,
        )  # fmt: skip

    def plan_for(self, request: Mapping[str, Any]) -> Plan:
        """Return the plan of the version that a request gets."""
        return (self._candidate if self._is_chosen(request) else self._live).plan

    def decide(
        self,
        request: Mapping[str, Any],
        *,
        balances: Balances | None = None,
        now: datetime | None = None,
        measured: Measures | None = None,
    ) -> Decision:
        """Decide one request by the version that it gets; see ``Engine.decide``."""
        chosen = self._candidate if self._is_chosen(request) else self._live
        at = system_now() if now is None else now
        decision = Engine(chosen.plan).decide(request, balances=balances, now=at, measured=measured)
        assert self.log is not None, "it observes itself"
        self.log.decided(decision)
        return decision

    def decided(self, decision: Decision, id: str, held: bool) -> None:
        """Let a decision be compared; see ``Observer``."""
        plan = decision.plan
        known = plan is self._live.plan or plan is self._candidate.plan  # else it was replaced in the meantime
        is_live = plan is self._live.plan if known else not self._is_chosen(decision.request)
        with self._lock:
            self._counts["live" if is_live else "candidate"] += 1
        self._backlog.add((decision, id, is_live))

    def charged(self, decision: Decision, charge: ChargedCall, at: datetime) -> None:
        """Nothing is compared of charges; see ``Observer``."""

    def flush(self, timeout: float = 5.0) -> bool:
        """Wait until all that was decided is compared; return whether that was within ``timeout`` seconds."""
        return self._backlog.flush(timeout)

    def close(self) -> None:
        """Compare what waits, and no more after that."""
        self._backlog.close(5.0)

    def suite(self, name: str = "differences", policy_set: str = "policy-set.yaml") -> str:
        """Return the differing decisions as a suite, in YAML, that expects what the live version decided.

        ``test`` of the candidate then shows each difference. Texts have the mask on them, and cases the tokens that
        were counted. A case may come to something else where rules read texts: keep them with ``mask=Mask("keep")``.
        """
        from costlens_policy.source.compose import FORBIDDEN  # needs the parser, and deciding does not

        with self._lock:
            cases = [case for kept in self._cases.values() for case in kept]
        document = {
            "apiVersion": "costlens-policy/v1",
            "kind": "Suite",
            "metadata": {"name": name, "version": "1"},
            "policy_set": policy_set,
            "cases": cases,
        }
        text = json.dumps(document, indent=2, ensure_ascii=False)
        return FORBIDDEN.sub(lambda found: _escape(found[0]), text) + "\n"

    def _is_chosen(self, request: Mapping[str, Any]) -> bool:
        if not self._share or not isinstance(request, Mapping):
            return False
        value = request.get(self._key)
        if value is None:
            return False
        digest = sha256(f"{self._salt}\0{value}".encode("utf-8", "surrogatepass")).digest()
        return int.from_bytes(digest[:8], "big") < self._share * 2**64

    def _compare_all(self, items: list[tuple[Decision, str, bool]]) -> int:
        failed = 0
        for decision, id, is_live in items:
            try:
                self._compare(decision, id, is_live)
            except Exception:
                failed += 1
                _LOG.exception("decision `%s` could not be compared", id)
        return failed

    def _compare(self, decision: Decision, id: str, is_live: bool) -> None:
        other_plan = self._candidate.plan if is_live else self._live.plan
        try:
            other = decide(other_plan, decision.request, dict(decision.balances_read), decision.now, decision.measured)
        except RequestError:
            with self._lock:
                self._counts["rejected"] += 1
            return
        live, candidate = (decision, other) if is_live else (other, decision)
        differing = [name for name in _COMPARED if getattr(live, name) != getattr(candidate, name)]
        with self._lock:
            self._counts["compared"] += 1
            self._counts["different"] += bool(differing)
            self._differences.update(differing)
            if differing:
                kept = self._cases.setdefault((differing[0], live.rule, candidate.rule), [])
                if len(kept) < self._keep:
                    kept.append(self._case(live, id))

    def _case(self, live: Decision, id: str) -> dict[str, Any]:
        shown = live.to_dict(mask=self._mask, record=False)
        expected: dict[str, Any] = {"effect": live.effect, "rule": live.rule}
        if live.model is not None:
            expected |= {"model": live.model, "fallbacks": list(live.fallbacks)}
        balances = [
            {"budget": item["budget"], "key": item["key"], "used": item["used"]}
            | {name: item[name] for name in _STATE if name in item and item[name] != "0"}
            for item in shown["balances_read"]
        ]
        request = shown["request"]
        if live.estimate is not None and _is_shorter(request, live):
            request = {**request, "prompt_tokens": live.estimate.prompt_tokens}
        case = {"name": f"decision {id}", "request": request, "now": shown["now"], "expect": expected}
        return case | {"balances": balances} if balances else case


def _is_shorter(shown: Mapping[str, Any], decision: Decision) -> bool:
    """Whether masks stand for texts whose tokens were counted, and nothing rewrites what stands there."""
    given = decision.request
    if "prompt_tokens" in given or decision.rewrites:
        return False
    return any(shown.get(name) != given.get(name) for name in ("prompt", "messages", "tools", "params"))


def _escape(character: str) -> str:
    """Return what stands for a character that YAML does not have; half of a pair of surrogates cannot be written."""
    return "\ufffd" if "\ud800" <= character <= "\udfff" else f"\\u{ord(character):04x}"
