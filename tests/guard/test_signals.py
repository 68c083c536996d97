"""External signals: asked before the decision, within their time limit, and absent where that fails."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Event, Thread
from typing import Any, Final

import pytest

from costlens_policy import CallConflictError, Engine, GuardError, RequestError, load
from costlens_policy.guard import AsyncGuard, Guard

_HEAD: Final = 'apiVersion: costlens-policy/v1\nkind: {}\nmetadata: {{name: {}, version: "1"}}\n'
FILES: Final = {
    "set": _HEAD.format("PolicySet", "company")
    + "policies: [policy.yaml]\ncatalogues: [catalogue.yaml]\nsignals: [signals.yaml]\n"
    + "defaults: {access: allow, route: {model: mini}, max_output_tokens: 100}\n",
    "signals": _HEAD.format("Signals", "prompts")
    + "signals:\n  risk: {external: {range: [0, 100], time_limit: 50ms}}\n"
    + "  mood: {external: {labels: [calm, angry]}, default: calm}\n  unread: {external: {flag: true}}\n",
    "policy": _HEAD.format("Policy", "policy")
    + "on_error: skip\nroutes:\n"
    + "  - {id: risky, when: has(signals.risk) && signals.risk > 80.0, model: large}\n"
    + "  - {id: angry, when: signals.mood == 'angry', model: large}\n",
    "catalogue": _HEAD.format("Catalogue", "models")
    + "models:\n  mini: {prices: [{usd_per_million_tokens: {input: 1, output: 4}}]}\n"
    + "  large: {prices: [{usd_per_million_tokens: {input: 2, output: 8}}]}\n",
}


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    folder = tmp_path_factory.mktemp("signals")
    for name, text in FILES.items():
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    return load(Path(folder), cache=False)


def calm(_request: Mapping[str, Any]) -> str:
    return "calm"


def test_a_source_is_asked_and_the_decision_keeps_its_value(engine: Engine) -> None:
    asked: list[Mapping[str, Any]] = []

    def risk(request: Mapping[str, Any]) -> int:
        asked.append(request)
        return 90

    with Guard(engine, signals={"risk": risk, "mood": calm}) as guard:
        decision = guard.decide({"prompt": "hi"})
        assert (decision.rule, decision.request["signals"]) == ("policy/risky", {"risk": 90.0, "mood": "calm"})
        assert guard.models({"prompt": "hi"}).may_serve[0] == "large"
        with guard.call({"prompt": "hi", "signals": {"risk": 1, "mood": "calm"}}) as call:
            assert call.model == "mini"
    assert asked == [{"prompt": "hi"}] * 2, "what a request comes with is not asked for"


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        (lambda _: None, ""),
        (lambda _: 1 / 0, "failed with `ZeroDivisionError`"),
        (lambda _: "high", "gave a wrong value: it must be a number"),
        (lambda _: 101, "gave a wrong value: it must be from 0 to 100"),
    ],
)
def test_a_signal_is_absent_where_its_source_gives_nothing_of_use(
    engine: Engine, source: Callable[..., Any], fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    with Guard(engine, signals={"risk": source, "mood": calm}) as guard, caplog.at_level(logging.WARNING):
        for _ in range(2):
            decision = guard.decide({"prompt": "hi"})
            assert (decision.rule, decision.request["signals"]["risk"]) == ("default", None)
    assert len(caplog.records) == bool(fault), "reported once"
    assert fault in caplog.text


def test_a_source_that_takes_too_long_is_not_waited_for(engine: Engine, caplog: pytest.LogCaptureFixture) -> None:
    never = Event()
    with Guard(engine, signals={"risk": lambda _: never.wait(30), "mood": calm}) as guard:
        assert guard.decide({"prompt": "hi"}).request["signals"]["risk"] is None
    assert "did not answer in time" in caplog.text
    never.set()


def test_a_default_stands_in_for_a_source_that_fails(engine: Engine, caplog: pytest.LogCaptureFixture) -> None:
    with Guard(engine, signals={"risk": lambda _: 1, "mood": lambda _: 1 / 0}) as guard:  # type: ignore[dict-item]
        assert guard.decide({"prompt": "hi"}).request["signals"]["mood"] == "calm"
    assert "the signal is `calm`" in caplog.text


def test_what_a_signal_without_a_source_is_depends_on_its_default(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING), Guard(engine, signals={}):
        pass
    assert "the signal `mood` has no source; it is `calm`, its default, unless requests come with it" in caplog.text
    assert "the signal `risk` has no source; it is absent unless requests come with it" in caplog.text


def test_a_source_that_hangs_takes_nothing_from_another(
    engine: Engine, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("costlens_policy.guard.signals._MOST_UNDER_WAY", 2)
    never = Event()
    with Guard(engine, signals={"risk": lambda _: never.wait(30), "mood": lambda _: "angry"}) as guard:
        for _ in range(4):
            assert guard.decide({"prompt": "hi"}).request["signals"] == {"risk": None, "mood": "angry"}
    never.set()
    assert [record.getMessage().split("`")[1] for record in caplog.records] == ["risk"], "the one that hangs, once"


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, GeneratorExit, asyncio.CancelledError])
def test_whatever_a_source_raises_in_its_thread_is_its_own_fault(
    engine: Engine, error: type[BaseException], caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    def risk(_request: Mapping[str, Any]) -> float:
        raise error

    with Guard(engine, signals={"risk": risk, "mood": calm}) as guard:
        assert guard.decide({"prompt": "hi"}).request["signals"]["risk"] is None
    assert f"failed with `{error.__name__}`" in caplog.text
    assert "Traceback" not in capfd.readouterr().err


def test_a_source_that_no_thread_can_be_started_for_is_absent(
    engine: Engine, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(_thread: Thread) -> None:
        raise RuntimeError("can't start new thread")

    with Guard(engine, signals={"risk": lambda _: 90, "mood": calm}) as guard:
        with monkeypatch.context() as patched:
            patched.setattr(Thread, "start", start)
            assert guard.decide({"prompt": "hi"}).request["signals"] == {"risk": None, "mood": "calm"}
        assert guard.decide({"prompt": "hi"}).request["signals"]["risk"] == 90.0
    assert "no thread can be started" in caplog.text


@pytest.mark.parametrize(
    "wrong", [{"signals": value} for value in ("x", 5, [], [1], True, b"x", {"risk": "5"})] + [{"prompt": 5}]
)
def test_nobody_is_asked_about_a_request_that_is_refused(engine: Engine, wrong: Mapping[str, Any]) -> None:
    asked: list[Any] = []

    async def refused() -> None:
        async with AsyncGuard(engine, signals={"risk": asked.append, "mood": asked.append}) as guard:
            for opening in (guard.call(request), guard.decide(request), guard.models(request)):
                with pytest.raises(RequestError):
                    await opening

    request = {"prompt": "hi", **wrong}
    with Guard(engine, signals={"risk": asked.append, "mood": asked.append}) as guard, pytest.raises(RequestError):
        guard.call(request)
    asyncio.run(refused())
    assert asked == []


def test_asynchronous_sources_are_awaited_and_functions_called_in_threads(engine: Engine) -> None:
    async def risk(_request: Mapping[str, Any]) -> float:
        await asyncio.sleep(0)
        return 90.0

    async def slow(_request: Mapping[str, Any]) -> float:
        await asyncio.sleep(30)
        return 90.0

    async def run() -> None:
        async with AsyncGuard(engine, signals={"risk": risk, "mood": calm}) as guard:
            assert (await guard.decide({"prompt": "hi"})).rule == "policy/risky"
            assert guard.decide_at_once({"prompt": "hi"}) is None, "it has to be waited for"
            assert (await guard.models({"prompt": "hi"})).may_serve[0] == "large"
            async with guard.call({"prompt": "hi"}) as call:
                assert call.model == "large"
            guard.call({"prompt": "hi"})  # nobody awaits it, so nobody is asked
        async with AsyncGuard(engine, signals={"risk": slow, "mood": calm}) as guard:
            assert (await guard.decide({"prompt": "hi"})).request["signals"] == {"risk": None, "mood": "calm"}

    asyncio.run(run())


def test_a_source_that_fails_or_ignores_its_cancellation_holds_no_call(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    free = asyncio.Event()

    async def cancelled(_request: Mapping[str, Any]) -> str:
        raise asyncio.CancelledError

    async def stubborn(_request: Mapping[str, Any]) -> float:
        while not free.is_set():
            try:
                await free.wait()
            except asyncio.CancelledError:
                continue
        return 99.0

    async def run() -> None:
        async with AsyncGuard(engine, signals={"risk": stubborn, "mood": cancelled}) as guard:
            async with guard.call({"prompt": "hi"}) as call:
                assert call.decision.request["signals"] == {"risk": None, "mood": "calm"}
            free.set()

    asyncio.run(run())
    assert "`risk` did not answer in time" in caplog.text
    assert "`mood` failed with `CancelledError`" in caplog.text


def test_a_task_that_others_await_may_be_cancelled_and_so_may_who_asks(engine: Engine) -> None:
    async def run() -> None:
        begun = asyncio.Event()
        shared = asyncio.get_running_loop().create_future()

        async def risk(_request: Mapping[str, Any]) -> float:
            begun.set()
            return await shared  # type: ignore[no-any-return]

        async with AsyncGuard(engine, signals={"risk": risk, "mood": calm}) as guard:
            asking = asyncio.ensure_future(guard.decide({"prompt": "hi"}))
            await begun.wait()
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking
            await asyncio.sleep(0)
            assert shared.cancelled()
            assert (await guard.decide({"prompt": "hi"})).request["signals"]["risk"] is None

    asyncio.run(run())


def test_asking_again_is_the_same_call_whatever_a_source_says_then(engine: Engine) -> None:
    values = iter([90, 10, 20])
    with Guard(engine, signals={"risk": lambda _: next(values), "mood": calm}) as guard:
        first = guard.call({"prompt": "hi"}, id="one")
        again = guard.call({"prompt": "hi"}, id="one")
        assert (again.repeated, again.model) == (True, first.model)
        with pytest.raises(CallConflictError):
            guard.call({"prompt": "another"}, id="one")
        first.release()


def test_sources_are_those_of_declared_signals(engine: Engine, caplog: pytest.LogCaptureFixture) -> None:
    async def risk(_request: Mapping[str, Any]) -> float:
        return 1.0

    with pytest.raises(GuardError, match="there is no external signal `risc`; did you mean `risk`"):
        Guard(engine, signals={"risc": calm})
    with pytest.raises(GuardError, match="is asynchronous"):
        Guard(engine, signals={"risk": risk})
    with pytest.raises(GuardError, match="must be a function"):
        Guard(engine, signals={"risk": 3})  # type: ignore[dict-item]
    with pytest.raises(GuardError, match="must map the names"):
        Guard(engine, signals=[])  # type: ignore[arg-type]
    Guard(engine, signals={"mood": calm}).close()
    assert [record.getMessage().split("`")[1] for record in caplog.records] == ["risk"], "which nothing gives"
