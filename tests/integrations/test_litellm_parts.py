"""The parts of the LiteLLM integration that need no LiteLLM: settings, models, identity, versions, how attempts end."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from costlens_policy import CostlensPolicyError, Engine, GuardError, LivePolicies
from costlens_policy.integrations.litellm.flights import was_answered
from costlens_policy.integrations.litellm.gateway import Gateway
from costlens_policy.integrations.litellm.identity import Caller, Identity
from costlens_policy.integrations.litellm.kinds import KINDS, request_of
from costlens_policy.integrations.litellm.models import Groups
from costlens_policy.integrations.litellm.settings import Settings, _check_workers, settings_from
from costlens_policy.integrations.litellm.streams import seen_by_guard
from costlens_policy.integrations.litellm.versions import HOOKS, check_version
from tests.guard.company import TEAM, write_company

SECTION = {"policies": ["policies/"], "ledger": "sqlite:///spend.db"}


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return write_company(tmp_path / "company", TEAM)


def test_settings_come_from_the_file_and_the_environment() -> None:
    assert settings_from(SECTION, {}) == Settings(policies=("policies/",), ledger="sqlite:///spend.db")
    environment = {"COSTLENS_POLICIES": "a:b", "COSTLENS_LEDGER": "redis://x", "URL": "redis://y"}
    assert settings_from(None, environment).policies == ("a", "b")
    assert settings_from({"ledger": "os.environ/URL"}, environment).ledger == "redis://y"
    assert settings_from({**SECTION, "attributes": {"task": "metadata.task"}}, {}).attributes == {
        "task": ("metadata.task",)
    }


@pytest.mark.parametrize(
    ("section", "message"),
    [
        (None, "`policies` and `ledger` must be set"),
        ({"policies": ["p"]}, "`ledger` must be set"),
        ({**SECTION, "ledgre": "x"}, "costlens_policy.ledgre"),
        ({**SECTION, "unanswered": "perhaps"}, "costlens_policy.unanswered"),
        ({**SECTION, "lease_seconds": 0}, "costlens_policy.lease_seconds"),
        ({**SECTION, "ledger": "os.environ/NONE"}, "`os.environ/NONE` refers to an environment variable"),
        ({**SECTION, "reload_seconds": 0}, "costlens_policy.reload_seconds"),
        ({**SECTION, "log_sample": 2}, "costlens_policy.log_sample"),
        ({**SECTION, "telemetry": {"lables": []}}, "costlens_policy.telemetry.lables"),
        ({**SECTION, "bundle_state": "state.json"}, "belongs to `trusted_keys`"),
        ("policies/", "must be an object"),
    ],
)
def test_wrong_settings_are_named(section: Any, message: str) -> None:
    with pytest.raises(GuardError, match=message):
        settings_from(section, {})


def test_sources_and_switches_are_read() -> None:
    url = settings_from({"ledger": "memory:"}, {"COSTLENS_POLICIES": "https://example.com/p.bundle"})
    assert url.policies == ("https://example.com/p.bundle",)
    assert url.telemetry is None
    for given, labels in ((True, ("team", "feature")), ({"labels": ["task"]}, ("task",))):
        found = settings_from({**SECTION, "telemetry": given, "trusted_keys": "a.pub"}, {})
        assert found.telemetry is not None
        assert found.telemetry.labels == labels
        assert found.trusted_keys == ("a.pub",)
    assert settings_from({**SECTION, "telemetry": False, "reload_seconds": None}, {}).telemetry is None


async def _asked(gateway: Gateway, team: str) -> str:
    """Return the model that a request is routed to, and end it."""
    router = SimpleNamespace(model_list=[deployment("cheap", "acme/nano"), deployment("better", "acme/mini")])
    data: dict[str, Any] = {"messages": [{"role": "user", "content": "hi"}], "model": "auto", "max_tokens": 10}
    flight = await gateway.decide(KINDS["acompletion"], data, dict(data), {"team": team}, router)
    await flight.leave(None)
    return str(data["model"])


def test_a_gateway_follows_its_policies_and_logs(tmp_path: Path) -> None:
    folder, log = tmp_path / "company", tmp_path / "log.jsonl"
    write_company(folder, TEAM, models="nano")

    async def serve() -> None:
        section = {"policies": [str(folder)], "ledger": "memory:", "reload_seconds": None, "decision_log": str(log),
                   "attributes": {"region": "metadata.area"}, "telemetry": {"spans": False}}  # fmt: skip
        gateway = Gateway.configured(section)
        assert await _asked(gateway, "red") == "cheap"
        identity = gateway.identity
        write_company(folder, TEAM, models="mini")
        engine = gateway._engine
        assert isinstance(engine, LivePolicies)
        assert engine.refresh().is_current
        assert await _asked(gateway, "red") == "better"
        assert gateway.identity is not identity
        (folder / "p.yaml").write_text("kind: Policy\n")
        assert engine.refresh().problem
        assert await _asked(gateway, "red") == "better"
        await gateway.close()

    pytest.importorskip("opentelemetry")
    asyncio.run(serve())
    assert [json.loads(line)["kind"] for line in log.read_text().splitlines()] == ["hold", "release"] * 3


def test_a_gateway_refuses_policies_that_its_settings_do_not_go_with(tmp_path: Path) -> None:
    pytest.importorskip("cryptography")
    from costlens_policy.bundles import SigningKey, build, sign

    folder, path = tmp_path / "company", tmp_path / "p.bundle"
    write_company(folder, TEAM, more="attributes: {desk: {type: string}}")
    key = SigningKey.generate()
    key.write(tmp_path / "key")
    path.write_bytes(sign(build(folder), key, 1).packed)
    section = {"policies": str(path), "ledger": "memory:", "reload_seconds": None, "attributes": {"desk": "header.x"}}
    SigningKey.generate().write(tmp_path / "other")
    with pytest.raises(CostlensPolicyError, match="signed by no trusted key"):
        Gateway.configured({**section, "trusted_keys": str(tmp_path / "other.pub")})
    with pytest.raises(CostlensPolicyError, match="at least one file of public keys"):
        Gateway.configured({**section, "trusted_keys": []})
    gateway = Gateway.configured({**section, "trusted_keys": str(tmp_path / "key.pub")})
    write_company(folder, TEAM)
    path.write_bytes(sign(build(folder), key, 2).packed)
    engine = gateway._engine
    assert isinstance(engine, LivePolicies)
    assert "`attributes.desk` is not an attribute" in engine.refresh().problem
    asyncio.run(gateway.close())


@pytest.mark.parametrize(
    ("arguments", "environment"),
    [
        (["litellm", "--num_workers", "2"], {}),
        (["litellm", "--num_workers=4"], {}),
        (["litellm"], {"NUM_WORKERS": "2"}),
    ],
)
def test_a_ledger_in_memory_is_refused_with_several_workers(arguments: list[str], environment: dict[str, str]) -> None:
    settings = Settings(policies=("p",), ledger="memory:")
    with pytest.raises(GuardError, match="several workers"):
        _check_workers(settings, arguments, environment)
    _check_workers(settings, ["litellm", "--num_workers", "1"], {})
    _check_workers(Settings(policies=("p",), ledger="redis://x"), arguments, environment)


def deployment(group: str, model: str, **info: str) -> dict[str, Any]:
    return {"model_name": group, "litellm_params": {"model": model}, "model_info": info}


def test_groups_are_found_by_what_their_deployments_serve(engine: Engine) -> None:
    groups = Groups(
        engine.plan.catalogue,
        [
            deployment("cheap", "acme/nano"),
            deployment("cheap", "azure/my-deployment", base_model="nano"),
            deployment("nano", "acme/nano"),
            deployment("big", "whatever", costlens_model="large"),
            deployment("given", "unknown/thing"),
            deployment("strange", "unknown/thing"),
            deployment("mixed", "acme/nano"),
            deployment("mixed", "acme/mini"),
            deployment("acme/*", "acme/*"),
        ],
        {"given": "mini"},
    )
    assert [groups.asked(name) for name in ("cheap", "big", "given", "auto")] == ["nano", "large", "mini", "auto"]
    assert groups.serving("nano", "cheap") == "cheap"  # the one that was asked for
    assert groups.serving("nano", "big") == "nano"  # the one of that very name
    assert groups.serving("large", "cheap") == "big"
    assert groups.serving("thinker", "acme/thinker") == "acme/thinker"
    assert groups.serving("unheard-of", "cheap") is None
    for name, message in (("strange", "costlens_model"), ("mixed", "serve different models")):
        with pytest.raises(GuardError, match=message):
            groups.asked(name)


def test_who_asks_is_what_the_key_says(engine: Engine) -> None:
    key = SimpleNamespace(team_alias=None, team_id="red", user_id="ann", org_id=None, metadata={"area": "north"})
    caller = Caller(key, {"team": "blue", "task": "chat"}, {"x-latency": "250"})
    assert Identity(engine.plan.attributes, {}).of(caller) == {"team": "red", "user": "ann"}
    sources = {
        "task": ("metadata.task",),
        "region": ("key_metadata.area",),
        "latency_budget_ms": ("header.X-Latency",),
        "team": ("metadata.team",),
    }
    given = Identity(engine.plan.attributes, sources).of(caller)
    assert given == {"team": "blue", "user": "ann", "task": "chat", "region": "north", "latency_budget_ms": 250}
    with pytest.raises(GuardError, match="did you mean `task`"):
        Identity(engine.plan.attributes, {"tsak": ("metadata.task",)})
    with pytest.raises(GuardError, match="must be one of"):
        Identity(engine.plan.attributes, {"task": ("body.task",)})


def test_a_hook_of_other_arguments_is_refused() -> None:
    def make(names: tuple[str, ...]) -> Any:
        scope: dict[str, Any] = {}
        exec(f"def hook(self, {', '.join(names)}): ...", scope)
        return scope["hook"]

    hooks = {name: make(names) for name, names in HOOKS.items()}
    module = SimpleNamespace(__version__="9.9")
    check_version(type("Logger", (), hooks), module)
    renamed = {**hooks, "async_log_success_event": make(("kwargs", "response", "start_time", "end_time"))}
    with pytest.raises(GuardError, match=r"LiteLLM 9\.9 has `async_log_success_event"):
        check_version(type("Logger", (), renamed), module)
    del hooks["async_post_call_failure_deployment_hook"]
    with pytest.raises(GuardError, match="has no `async_post_call_failure_deployment_hook`"):
        check_version(type("Logger", (), hooks), module)


def error(name: str, status: int | None = None, cause: BaseException | None = None) -> BaseException:
    made: BaseException = type(name, (Exception,), {"status_code": status})()
    made.__cause__ = cause
    return made


@pytest.mark.parametrize(
    ("fault", "answered"),
    [
        (error("InternalServerError", 500), True),
        (error("RateLimitError", 429), True),
        (error("Timeout", 408), False),
        (error("InternalServerError", 500, error("APIConnectionError")), False),
        (error("InternalServerError", 500, error("APIConnectionError", None, error("ConnectError"))), True),
        (error("KeyError"), False),
        (asyncio.CancelledError(), False),
        (None, False),
    ],
)
def test_only_what_was_answered_or_never_sent_is_free(fault: BaseException | None, answered: bool) -> None:
    assert was_answered(fault) is answered


def test_an_attempt_is_not_judged_by_those_before_it() -> None:
    first = error("InternalServerError", 500, error("APIConnectionError", None, error("ConnectError")))
    cause = first.__cause__
    assert cause is not None
    second = error("Timeout", 408, cause)
    assert was_answered(second, ()) is True  # as if it had never been sent
    assert was_answered(second, [first, cause]) is False


def test_every_name_of_a_body_is_seen() -> None:
    body = {"model": "m", "messages": [], "tools": [{}], "stream": True, "temperature": 1, "odd": {"a": 1}}
    request = request_of(KINDS["acompletion"], body, {**body, "metadata": {}, "tags": []})
    assert request.pop("params") == {"temperature": 1, "odd": {"a": 1}}
    assert request == {"model": "m", "messages": [], "tools": [{}], "stream": True}
    with pytest.raises(GuardError, match="`additional_drop_params` must not be set"):
        request_of(KINDS["acompletion"], body, {**body, "additional_drop_params": ["max_tokens"]})
    with pytest.raises(GuardError, match="one text"):
        request_of(KINDS["atext_completion"], {"prompt": ["a", "b"]}, {"prompt": ["a", "b"]})


class Chunk(SimpleNamespace):
    def model_copy(self, update: dict[str, Any]) -> Chunk:
        return Chunk(**{**vars(self), **update})


class Chunks:
    """A stream of LiteLLM's: the usage that the provider sent stands in ``chunks`` alone."""

    def __init__(self, given: list[Chunk], reported: list[Any]) -> None:
        self.given = given
        self.chunks = [Chunk(usage=usage) for usage in reported]

    async def __aiter__(self) -> Any:
        for chunk in self.given:
            yield chunk


@pytest.mark.parametrize("reported", [[], [{"prompt_tokens": 20}]])
def test_only_the_usage_of_the_provider_is_shown_to_the_guard(reported: list[Any]) -> None:
    given = [
        Chunk(choices=["a"], usage=None),
        Chunk(choices=["b"], usage="made up"),
        Chunk(choices=[], usage="made up"),
    ]

    async def views() -> tuple[list[Any], list[Any]]:
        passing: list[Any] = []
        return [view async for view in seen_by_guard(Chunks(given, reported), passing, doubtful=True)], passing

    seen, passing = asyncio.run(views())
    assert passing == given
    usages = [view["usage"] if isinstance(view, dict) else getattr(view, "usage", None) for view in seen]
    assert [usage for usage in usages if usage is not None] == reported
