"""The clients: every call, every kind of refusal, and what is repeated."""

from __future__ import annotations

import asyncio
import http.server
import json
import threading
from contextvars import copy_context
from datetime import timedelta
from decimal import Decimal

import pytest

from costlens_policy import run
from costlens_policy.client.asynchronous import AsyncClient
from costlens_policy.client.exchange import Asks, ServiceDeniedError, ServiceError, ServiceUnavailableError, headers_of
from costlens_policy.client.synchronous import Client
from tests.guard.company import REQUEST

USAGE = {"prompt_tokens": 1000, "completion_tokens": 100}
_ENDLESS: list = []
_ENDLESS.append(_ENDLESS)
POOR = REQUEST | {"team": "poor"}


@pytest.fixture(params=["tcp", "unix"])
def client(request, service):
    url = f"http://127.0.0.1:{service.port}" if request.param == "tcp" else f"unix:{service.folder}/s.sock"
    with Client(url) as client:
        yield client


def test_a_call_is_reserved_and_settled(client):
    with client.call(REQUEST, dialect="openai-chat") as call:
        assert (call.model, call.prompt) == ("nano", "Hello")
        assert call.arguments["messages"] == [{"role": "user", "content": "Hello"}]
        charge = call.settle(USAGE)
    assert charge.cost_usd == "0.0012"
    assert call.settle(USAGE) is charge


def test_a_call_that_is_not_settled_is_given_back(client):
    def held():
        return next((line.held for line in client.spend("team", "blue")), "0")

    with client.call(REQUEST | {"team": "blue"}, lease=timedelta(minutes=1)) as call:
        assert held() == "0.0012"
        call.extend(timedelta(minutes=2))
    assert held() == "0"
    with client.call(REQUEST, lease="5m") as call:
        call.extend("10m")
    with pytest.raises(ServiceError, match="`lease`"):
        client.reserve(REQUEST, lease="soon")


def test_a_call_whose_charge_came_unnoticed_is_left_in_peace(client):
    with client.call(REQUEST) as call:
        client.settle(call.id, USAGE)
    with pytest.raises(ServiceError, match="settled") as refused:
        client.release(call.id)
    assert (refused.value.status, refused.value.code) == (409, "call_conflict")


def test_a_batch_is_submitted_and_settled(client):
    items = {"a": REQUEST, "b": REQUEST, "poor": POOR, "odd": {"nonsense": 1}}
    batch = client.submit(items, id=f"night-{client._http.base_url.port}", lease="1d", dialect="openai-chat")
    assert list(batch.calls) == ["a", "b"]
    assert {item: why.code for item, why in batch.refused.items()} == {
        "poor": "budget_exceeded", "odd": "invalid_request",
    }  # fmt: skip
    assert batch.refused["poor"].budget == "p/team"
    assert batch.calls["a"].decision.calls[0].arguments["model"] == "nano"
    answer = {"status_code": 200, "body": {"model": "nano", "usage": USAGE}}
    results = [{"custom_id": "a", "response": answer}, b'{"custom_id": "b", "error": {"code": "batch_expired"}}', "{"]
    for repeated in (False, True):
        settled = client.settle_batch(batch.id, results)
        assert (settled.charged["a"].cost_usd, settled.charged["a"].repeated) == (settled.cost_usd, repeated)
        assert (settled.released, len(settled.problems)) == ({"b": "batch_expired"}, 1)
    with pytest.raises(ServiceDeniedError) as denied:
        client.submit(items, id="whole", whole=True)
    assert denied.value.budget == "p/team"
    for wrong in (
        lambda: client.submit([REQUEST], id="x"),
        lambda: client.submit({str(number): REQUEST for number in range(1001)}, id="x", whole=True),
        lambda: client.settle_batch("x", [object()]),
    ):
        with pytest.raises(ServiceError) as refused:
            wrong()
        assert (refused.value.status, refused.value.code) == (0, "invalid_request")


def test_results_go_in_parts():
    sent = list(Asks.settle_batch("night", ["x" * 600_000, "y" * 600_000, *(["z"] * 1500)]))
    assert [len(json.loads(asked.body)["results"].split("\n")) for asked in sent] == [1, 1000, 501]
    assert len(list(Asks.settle_batch("night", ""))) == 1


def test_calls_belong_to_the_run_around_them(client):
    with run("nightly"), run("search"):
        call = client.call(REQUEST)
        context = copy_context()
    call.release()
    with pytest.raises(ServiceError, match="`nightly/search` has ended") as ended:
        context.run(client.decide, REQUEST)
    assert (ended.value.status, ended.value.code) == (0, "run_ended")
    path = f"a{client._http.base_url.port}"
    client.call(REQUEST | {"run": f"{path}/x"}).release()
    client.end_run(path)
    with pytest.raises(ServiceDeniedError) as over:
        client.call(REQUEST | {"run": f"{path}/x"})
    assert (over.value.status, over.value.code, over.value.over) == (403, "run_ended", path)
    with pytest.raises(ServiceError, match="own ancestor"):
        client.end_run("a/a")


def test_everything_else_is_answered(client):
    assert client.decide(REQUEST).model == "nano"
    assert [item.decision is None for item in client.decide_all([REQUEST, {"nonsense": 1}])] == [False, True]
    assert client.explain(REQUEST).decision["record"]
    assert "nano" in client.models(REQUEST).may_serve
    assert client.policies().policies[0].name == "p"
    assert client.ready().problems == []
    assert client.decide(POOR).allow is False


def test_refusals_are_typed(client):
    with pytest.raises(ServiceDeniedError) as denied:
        client.reserve(POOR)
    assert (denied.value.status, denied.value.code, denied.value.budget, denied.value.key) == (
        402,
        "budget_exceeded",
        "p/team",
        "poor",
    )
    assert denied.value.resets_at is not None
    assert (denied.value.unit, denied.value.used, denied.value.held) == ("usd", 0, 0)
    assert denied.value.limit is not None
    with pytest.raises(ServiceError, match="did you mean `team`") as wrong:
        client.decide({"prompt": "x", "teem": "red"})
    assert (wrong.value.status, wrong.value.code) == (400, "invalid_request")
    with pytest.raises(ServiceError) as unknown:
        client.settle("nobody", USAGE)
    assert unknown.value.code == "unknown_call"


def test_who_does_not_answer_is_asked_again_and_then_reported():
    with Client("http://127.0.0.1:9", retries=1) as client, pytest.raises(ServiceUnavailableError) as unreachable:
        client.decide(REQUEST)
    assert unreachable.value.code == "unreachable"


@pytest.mark.parametrize("kind", [Client, AsyncClient])
@pytest.mark.parametrize("url", ["foo", "", "ftp://x", "http://", "unix:", "http://x:99999", "http://[::1"])
def test_a_url_that_is_none_is_refused_at_once(kind, url):
    with pytest.raises(ValueError, match="`url` must be"):
        kind(url)


@pytest.mark.parametrize("kind", [Client, AsyncClient])
@pytest.mark.parametrize(
    "options",
    [{"retries": -1}, {"retries": 1.5}, {"retries": "3"}, {"retries": True}]
    + [{"timeout": given} for given in ("x", 0, -1, float("nan"), None, True)],
)
def test_options_that_cannot_be_are_refused_at_once(kind, options):
    with pytest.raises(ValueError, match=r"`(retries|timeout)` must be"):
        kind(**options)


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        ({"prompt": b"secret"}, "`bytes`"),
        ({"prompt": "x", "messages": [{"content": bytearray(b"x")}]}, "`bytearray`"),
        ({"tags": {"a"}}, "`set`"),
        ({"metadata": {1: "x"}}, "a key must be a text, got `1`"),
        ({"metadata": {b"x": "x"}}, "a key must be a text"),
        ({"messages": _ENDLESS}, "holds itself"),
        ({"cost_budget": float("nan")}, "a number must be finite"),
        (None, "mapping of attributes, got `NoneType`"),
        ("x", "mapping of attributes, got `str`"),
        ([("a", 1)], "mapping of attributes, got `list`"),
    ],
)
def test_a_request_that_would_arrive_as_another_is_not_sent(request_, said):
    with Client("http://127.0.0.1:9", retries=0) as client:
        for ask in (client.decide, client.explain, client.models, client.reserve):
            with pytest.raises(ServiceError, match=said) as refused:
                ask(request_)
            assert (refused.value.status, refused.value.code) == (0, "invalid_request")
        for asked in (lambda: client.decide_all([request_]), lambda: client.settle("a", {"usage": {1, 2}})):
            with pytest.raises(ServiceError) as refused:
                asked()
            assert refused.value.code == "invalid_request"


def test_arguments_of_other_types_are_not_sent():
    with Client("http://127.0.0.1:9", retries=0) as client:
        for ask in (
            lambda: client.decide_all(None),
            lambda: client.decide_all({"prompt": "x"}),
            lambda: client.reserve(REQUEST, lease=5),
            lambda: client.extend("a", lease=1.5),
            lambda: client.settle("a", output_text=5),
            lambda: client.settle("a", output_text=[b"x"]),
        ):
            with pytest.raises(ServiceError) as refused:
                ask()
            assert refused.value.code == "invalid_request"


@pytest.mark.parametrize("kind", [Client, AsyncClient])
@pytest.mark.parametrize("key", ["", " ", "clp_secret\nx", "clp_secret x", "clp_secreté", "clp_secret\0"])
def test_a_key_that_cannot_be_sent_is_refused_and_not_shown(kind, key):
    with pytest.raises(ValueError, match="`key` must be") as refused:
        kind(key=key)
    assert "secret" not in str(refused.value)


def test_white_space_around_a_key_is_not_sent():
    assert headers_of(" clp_a_b\r\n") == {"authorization": "Bearer clp_a_b"}


class _Stub(http.server.BaseHTTPRequestHandler):
    """Answers what it is told, and remembers what it was asked."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.server.asked.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
        status, body = self.server.answers.pop(0)
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def stub():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Stub)
    server.asked, server.answers = [], []
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def _busy():
    facts = dict.fromkeys(("param", "rule", "budget", "key", "resets_at"))
    facts |= {"message": "no", "type": "api_error", "code": "overloaded"}
    return 503, json.dumps({"type": "error", "error": facts}).encode()


def test_a_reservation_keeps_its_id_when_it_is_repeated(stub, client):
    good = json.dumps({
        "id": "x", "expires_at": None, "held": [],
        "decision": json.loads(_decided(client)),
    }).encode()  # fmt: skip
    stub.answers = [_busy(), _busy(), (200, good)]
    with Client(f"http://127.0.0.1:{stub.server_port}") as other:
        other.call(REQUEST)
    assert len({body["id"] for body in stub.asked}) == 1
    assert len(stub.asked) == 3


def _decided(client):
    import msgspec

    return msgspec.json.encode(client.decide(REQUEST))


@pytest.mark.parametrize("content", [b"", b"<html>", b"{}", b'{"allow": "yes"}'])
def test_what_is_no_answer_is_an_error(stub, content):
    stub.answers = [(200, content), (502, content)]
    with Client(f"http://127.0.0.1:{stub.server_port}") as other:
        for _ in range(2):
            with pytest.raises(ServiceError) as unreadable:
                other.decide(REQUEST)
            assert unreadable.value.code == "unreadable"


def test_the_asynchronous_client_does_the_same(service):
    async def main():
        async with AsyncClient(f"http://127.0.0.1:{service.port}") as client:
            async with await client.call(REQUEST, dialect="anthropic") as call:
                charge = await call.settle(USAGE)
            assert charge.cost_usd == "0.0012"
            with pytest.raises(ServiceDeniedError):
                await client.reserve(POOR)
            calls = await asyncio.gather(*(client.call(REQUEST) for _ in range(20)))
            await asyncio.gather(*(call.release() for call in calls))
            assert list((await client.submit({"a": REQUEST}, id="async")).calls) == ["a"]
            settled = await client.settle_batch("async", [{"custom_id": "a", "error": {"code": "batch_expired"}}])
            assert settled.released == {"a": "batch_expired"}
            await client.end_run("async")
            assert all(line.held == "0" for line in await client.spend("team", "red"))

    asyncio.run(main())


def test_a_request_may_have_exact_numbers(client):
    assert client.decide({**REQUEST, "cost_budget": Decimal("0.5")}).allow
    assert not client.decide({**REQUEST, "cost_budget": Decimal("0.0001")}).allow


@pytest.mark.parametrize("value", ["half \ud800", object(), Decimal("NaN"), float("nan"), [{"x": float("inf")}]])
def test_what_json_cannot_say_is_refused_before_it_is_sent(value):
    with Client("http://127.0.0.1:1", retries=0) as client, pytest.raises(ServiceError, match="as JSON") as refused:
        client.reserve({**REQUEST, "prompt": value})
    assert (refused.value.status, refused.value.code) == (0, "invalid_request")


def test_slips_of_the_pen_are_refused(client):
    with pytest.raises(ServiceError, match="a usage must be a mapping, got `int`"):
        client.settle("job-1", 7)
    with pytest.raises(ServiceError) as refused:
        client.reserve(REQUEST, id="")
    assert (refused.value.status, refused.value.code) == (400, "invalid_request")
