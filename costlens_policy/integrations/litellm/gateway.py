"""The policies behind a gateway: one guard, who is asking, and which deployments serve which model."""

from __future__ import annotations

import asyncio
import atexit
import logging
from collections.abc import Mapping, MutableMapping
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakSet, WeakValueDictionary

from costlens_policy.api import Engine
from costlens_policy.bundles import Trust
from costlens_policy.compiler.plan import Plan
from costlens_policy.decision_log import DecisionLog
from costlens_policy.frozen import frozen
from costlens_policy.guard.async_guard import AsyncGuard
from costlens_policy.guard.errors import GuardError
from costlens_policy.integrations.litellm.flights import Flight
from costlens_policy.integrations.litellm.identity import Identity
from costlens_policy.integrations.litellm.kinds import LABELS, Kind, request_of, with_decision
from costlens_policy.integrations.litellm.models import Groups
from costlens_policy.integrations.litellm.settings import Settings, settings_from
from costlens_policy.live import LivePolicies
from costlens_policy.live.sources import source_at

if TYPE_CHECKING:
    from costlens_policy.integrations.otel import Telemetry

__all__ = ["TOKEN", "Gateway"]

_LOG: Final = logging.getLogger("costlens_policy.litellm")

TOKEN: Final = "costlens_call"
"""The key of LiteLLM's metadata under which its logs have the id of the call in the ledger."""
_STEERED: Final = ("num_retries", "max_retries", "max_fallbacks", "disable_fallbacks")
"""What headers of clients may set, and the proxy adds to the request: who repeats a request decides what it costs."""


@frozen(eq=False)
class _Version:
    """What the settings come to with one version of the policies."""

    plan: Plan
    identity: Identity


class Gateway:
    """Decides requests and writes decisions into attempts. Safe for the tasks of one event loop.

    Of an engine whose policies are replaced, each request is read and decided by the version of the moment.
    """

    def __init__(self, engine: Engine, settings: Settings, telemetry: Telemetry | None = None) -> None:
        self.settings: Final = settings
        self._engine: Final = engine
        sinks = [] if telemetry is None else [telemetry.alert]
        self.guard: Final = AsyncGuard(
            engine, settings.ledger, lease=settings.lease, named_models="ignore", alert_sinks=sinks
        )
        self._known: _Version | None = None
        self._version()  # raises for settings that do not go with the policies
        self._groups: Groups | None = None
        self._groups_of: tuple[int, ...] = ()
        self._flights: Final[WeakSet[Flight]] = WeakSet()
        self._by_token: Final[WeakValueDictionary[str, Flight]] = WeakValueDictionary()
        self._tasks: Final[set[asyncio.Task[Any]]] = set()
        atexit.register(self._close_at_exit)

    @classmethod
    def configured(cls, section: Any) -> Gateway:
        """Return the gateway of a section of settings and the environment. Raises ``GuardError``, ``PolicyError``."""
        settings = settings_from(section)
        telemetry = _telemetry(settings)
        return cls(_engine(settings, telemetry), settings, telemetry)

    @property
    def identity(self) -> Identity:
        """Who is asking, with the attributes of the policies that serve now."""
        return self._version().identity

    def _version(self) -> _Version:
        plan = self._engine.plan
        if self._known is None or self._known.plan is not plan:
            self._known = _Version(plan, Identity(plan.attributes, self.settings.attributes))
        return self._known

    async def decide(
        self,
        kind: Kind,
        data: MutableMapping[str, Any],
        body: Mapping[str, Any],
        attributes: Mapping[str, Any],
        router: Any,
    ) -> Flight:
        """Decide a request, hold it, and change ``data`` into a request for the groups that serve the decided models.

        ``body`` is what the client sent, ``attributes`` who it is. Raises ``RequestError``, ``DeniedError``,
        ``GuardError`` and ``LedgerError``.
        """
        plan = self._version().plan
        groups = self._groups_for(router, plan)
        asked = str(data.get("model") or "")
        request = {**request_of(kind, data, body), "model": groups.asked(asked), **attributes}
        if "call_type" in plan.attributes:
            request["call_type"] = kind.name
        flight = Flight(self.guard, self.settings, kind, request, asked, groups)
        await flight.begin()
        try:
            self._route(flight, data)
        except BaseException:
            await flight.leave(None)
            raise
        flight.wants_usage = not kind.adds_usage or bool((body.get("stream_options") or {}).get("include_usage"))
        self._flights.add(flight)
        return flight

    def _route(self, flight: Flight, data: MutableMapping[str, Any]) -> None:
        call, groups = flight.call, flight.groups
        serving = {model: groups.serving(model, flight.asked) for model in (call.model, *call.fallbacks)}
        first = serving[call.model]
        if first is None:
            raise GuardError(f"no deployment of LiteLLM serves `{call.model}`, which the policies chose")
        fallbacks = [serving[model] for model in call.fallbacks if serving[model] not in (None, first)]
        for name in _STEERED:
            data.pop(name, None)
        self._strip(data)
        data["model"] = first
        data["fallbacks"] = list(dict.fromkeys(fallbacks))
        data["context_window_fallbacks"] = data["content_policy_fallbacks"] = []
        for name in LABELS:
            if isinstance(metadata := data.get(name), MutableMapping):
                metadata[TOKEN] = call.id
        self._by_token[call.id] = flight

    def _strip(self, data: MutableMapping[str, Any]) -> None:
        """Take what the client said out of LiteLLM's labels: it routes, logs and counts by some of them.

        Tags are those of the key and its team alone. What the client sent stays in ``requester_metadata``, for logs.
        """
        data.pop("tags", None)
        for own in (data.get(name) for name in LABELS):
            if not isinstance(own, MutableMapping):
                continue
            for key, value in list((own.get("requester_metadata") or {}).items()):
                if key not in self.settings.client_metadata and own.get(key) == value:
                    del own[key]
            of_key = (own.get(f"user_api_key_{kind}metadata") for kind in ("", "team_"))
            tags = [tag for noted in of_key if isinstance(noted, Mapping) for tag in noted.get("tags") or ()]
            own.pop("tags", None)
            if tags:
                own["tags"] = list(dict.fromkeys(tags))

    async def write_attempt(self, flight: Flight, kwargs: dict[str, Any]) -> dict[str, Any]:
        """Return the arguments of an attempt, with what was decided for the model of its deployment."""
        info = kwargs.get("model_info") or {}
        group = _group_of(kwargs)
        model = flight.groups.model_sent(group, kwargs.get("model"), info)
        if model is None:
            raise GuardError(
                f"the catalogue does not list the model `{kwargs.get('model')}` of a deployment of `{group}`"
            )
        call = await flight.begin_attempt(model)
        flight.deployment = info.get("id")
        return with_decision(flight.kind, call, kwargs, flight.params)

    def compare(self, payload: Any, token: Any) -> None:
        """Report a call that another deployment served than the one that was charged, by LiteLLM's standard payload."""
        flight = self._by_token.get(token) if isinstance(token, str) else None
        if flight is None or not isinstance(payload, Mapping) or payload.get("cache_hit"):
            return
        served, charged = payload.get("model_id"), flight.deployment
        if served and charged and served != charged:
            _LOG.error(
                "LiteLLM reports that deployment `%s` served the call `%s`, which was charged as `%s` of `%s`",
                served, token, flight.call.model, charged,
            )  # fmt: skip

    def spawn(self, work: Any) -> None:
        """Run something to its end, whatever becomes of the task that asked for it."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Settle or release what is under way, and close the guard."""
        for flight in list(self._flights):
            await flight.leave(None)
        await self.guard.close()
        for closing in (self._engine, *(self._engine.log.all if self._engine.log is not None else ())):
            if isinstance(closing, LivePolicies | DecisionLog):
                closing.close()

    def _close_at_exit(self) -> None:
        asyncio.run(self.close())

    def _groups_for(self, router: Any, plan: Plan) -> Groups:
        """Return the groups of a router; its model list may change while it runs, and so may the policies."""
        model_list = list(getattr(router, "model_list", None) or ())
        state = (id(plan), *map(id, model_list))
        if self._groups is None or state != self._groups_of:
            self._groups = Groups(plan.catalogue, model_list, self.settings.models)
            self._groups_of = state
            for problem in self._groups.problems.values():
                _LOG.warning("%s", problem)
        return self._groups


def _engine(settings: Settings, telemetry: Telemetry | None) -> Engine:
    """Return the policies of the settings, which a thread looks after, and who is told of their decisions."""
    keys = settings.trusted_keys
    trust = None if keys is None else Trust(*keys, state=settings.bundle_state)  # of nobody: nobody is trusted
    log = None if settings.decision_log is None else DecisionLog(settings.decision_log, sample=settings.log_sample)
    engine = LivePolicies(
        source_at(*settings.policies, trust=trust),
        interval=settings.reload_seconds,
        accept=lambda engine: Identity(engine.plan.attributes, settings.attributes),
        on_change=None if telemetry is None else telemetry.policies_changed,
        log=[item for item in (telemetry, log) if item is not None],
    )
    if telemetry is not None:
        telemetry.watch(log=log, policies=engine)
    return engine


def _telemetry(settings: Settings) -> Telemetry | None:
    if settings.telemetry is None:
        return None
    from costlens_policy.integrations.otel import Telemetry

    return Telemetry(labels=settings.telemetry.labels, spans=settings.telemetry.spans)


def _group_of(kwargs: Mapping[str, Any]) -> str:
    for name in LABELS:
        group = (kwargs.get(name) or {}).get("model_group")
        if group:
            return str(group)
    return ""
