"""Runs in the headers of W3C Baggage and Trace Context, read and written, and in what ASGI serves."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from costlens_policy import GuardError, run
from costlens_policy.guard import run_now
from costlens_policy.integrations import AskingMiddleware, run_headers, run_of_headers
from costlens_policy.runs import run_problem
from tests.integrations.test_asgi import served

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"


@given(st.text(min_size=1, max_size=20).filter(lambda text: run_problem(text) is None))
def test_what_is_written_is_read(path: str) -> None:
    headers = run_headers(path)
    assert headers["baggage"].isascii()
    assert run_of_headers(headers) == path


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"traceparent": PARENT}, TRACE),
        ({"traceparent": PARENT, "baggage": "user=u1, costlens.run = a/b ;ttl=5,x=1"}, "a/b"),
        ({"traceparent": PARENT, "baggage": "costlens.run"}, TRACE),
        ({"traceparent": f"cc-{TRACE}-00f067aa0ba902b7-01-more"}, TRACE),
        ({"traceparent": f"{PARENT}-more"}, None),  # version 00 has no more parts
        ({"traceparent": f"ff-{TRACE}-00f067aa0ba902b7-01"}, None),
        ({"traceparent": f"00-{'0' * 32}-00f067aa0ba902b7-01"}, None),
        ({"traceparent": PARENT.upper()}, None),
        ({"traceparent": "nonsense"}, None),
    ],
)
def test_what_headers_name(headers: dict[str, str], expected: str | None) -> None:
    assert run_of_headers(headers) == expected


@pytest.mark.parametrize(
    ("baggage", "problem"),
    [
        ("costlens.run=a//b", "none of them empty"),
        ("costlens.run=a,costlens.run=b", "once"),
        *((f"costlens.run={text}", "percent-encoded") for text in ("%ff", "a/%fe", "%zz", "a%2", "")),
    ],
)
def test_headers_that_are_wrong(baggage: str, problem: str) -> None:
    with pytest.raises(GuardError, match=problem):
        run_of_headers({"baggage": baggage})


def test_the_block_around_is_passed_on() -> None:
    assert run_headers() == {}
    with run("a b"), run("c"):
        assert run_headers() == {"baggage": "costlens.run=a%20b/c"}
    with pytest.raises(GuardError, match="named twice"):
        run_headers("a/a")


async def _shows_run(scope: Any, receive: Any, send: Any) -> None:
    with run("inside") as block:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": json.dumps(block.path).encode()})


@pytest.mark.parametrize(
    ("options", "headers", "expected"),
    [
        ({"runs": True}, [("baggage", "x=1"), ("Baggage", "costlens.run=a/b")], "a/b/inside"),
        ({"runs": True}, [("traceparent", PARENT)], f"{TRACE}/inside"),
        ({}, [("baggage", "costlens.run=a/b")], "inside"),
        ({"headers": {"x-run": "run"}, "runs": True}, [("x-run", "c"), ("baggage", "costlens.run=a/b")], "c/inside"),
        ({"attributes": lambda _: {"run": "d"}}, [], "d/inside"),
    ],
)
def test_requests_are_served_in_their_run(
    options: dict[str, Any], headers: list[tuple[str, str]], expected: str
) -> None:
    answer = asyncio.run(served(AskingMiddleware(_shows_run, **options), *headers))
    assert json.loads(answer[-1]["body"]) == expected
    assert run_now() is None


def test_a_run_that_is_none_is_answered() -> None:
    answer = asyncio.run(served(AskingMiddleware(_shows_run, runs=True), ("baggage", "costlens.run=a/a")))
    assert answer[0]["status"] == 400
