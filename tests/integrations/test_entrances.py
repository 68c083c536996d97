"""No method of the SDKs gets round the guard: what a later version adds is refused until somebody has looked at it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, Final

import anthropic
import openai
import pytest

from costlens_policy import Guard, UnguardedCallError, wrap
from costlens_policy.integrations.sdk.operations import Passing, dialect_of
from tests.integrations.clients import FULL, bare, cost_of, spent
from tests.integrations.entrances import entrances, resources
from tests.integrations.provider import FaultyProvider
from tests.integrations.ways import MESSAGE

GUARDED: Final = {
    "openai": "chat.completions.create chat.completions.parse chat.completions.stream beta.chat.completions.create"
    " beta.chat.completions.parse beta.chat.completions.stream embeddings.create responses.create responses.parse"
    " responses.stream",
    "anthropic": "messages.create messages.parse messages.stream beta.messages.create beta.messages.parse"
    " beta.messages.stream beta.messages.tool_runner",
}
FREE: Final = {
    "openai": "beta.chat.completions.update chat.completions.update files.create moderations.create responses.cancel"
    " responses.input_tokens.count uploads.cancel uploads.complete uploads.create uploads.parts.create"
    " vector_stores.file_batches.upload_and_poll vector_stores.files.upload vector_stores.files.upload_and_poll",
    "anthropic": "files.upload beta.files.upload messages.count_tokens beta.messages.count_tokens",
}
"""What may write and runs no model. The uploads of `vector_stores` send a file first, and are refused after it."""
READING: Final = ("GET", "DELETE")

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.mark.parametrize("sdk", ["openai", "anthropic"])
def test_each_method_that_may_send_is_known(sdk: str) -> None:
    client, sent = _noting(sdk)
    passing = Passing(type(client))
    guarded, free = set(), set()
    for name, method, url in entrances(client, sent):
        if method in READING:
            continue
        try:
            (guarded if dialect_of(method, url, passing) else free).add(name)
        except UnguardedCallError:
            continue
    assert guarded <= set(GUARDED[sdk].split())
    assert free <= set(FREE[sdk].split())
    assert len(guarded) >= 4


@pytest.mark.parametrize("sdk", ["openai", "anthropic"])
def test_nothing_else_leaves_a_wrapped_client(sdk: str, guard_of: Callable[..., Guard]) -> None:
    sent: list[tuple[str, str]] = []
    client = wrap(_client(sdk, sent), guard=guard_of(FULL))
    written = {name for name, method, _ in entrances(client, sent) if method not in READING}
    assert written <= set(FREE[sdk].split())


def _noting(sdk: str) -> tuple[Any, list[tuple[str, str]]]:
    """Return a client that notes its requests instead of sending them, and where."""
    client, sent = _client(sdk, []), []

    def request(cast_to: Any, options: Any, **how: Any) -> Any:
        sent.append((options.method.upper(), options.url))
        raise ConnectionError

    client.request = request
    return client, sent


def _client(sdk: str, sent: list[tuple[str, str]]) -> Any:
    """Return a client of which whatever reaches the network is noted, and refused."""
    module: Any = openai if sdk == "openai" else anthropic
    httpx = sys.modules[module.DefaultHttpxClient.__mro__[1].__module__.partition(".")[0]]

    def refused(request: Any) -> Any:
        sent.append((request.method, request.url.path))
        return httpx.Response(400, json={})

    http = module.DefaultHttpxClient(transport=httpx.MockTransport(refused))
    kind: Any = openai.OpenAI if sdk == "openai" else anthropic.Anthropic
    return kind(api_key="none", http_client=http, max_retries=0)


def test_each_connection_is_refused(guard_of: Callable[..., Guard]) -> None:
    client = wrap(_client("openai", []), guard=guard_of())
    connecting = [resource for _, resource in resources(client) if hasattr(resource, "connect")]
    assert connecting
    for resource in connecting:
        manager = _connection(resource)
        with pytest.raises(UnguardedCallError, match="realtime"):
            manager._prepare_url()


def _connection(resource: Any) -> Any:
    for given in ({}, {"model": "x"}, {"session_id": "x"}, {"call_id": "x"}):
        try:
            return resource.connect(**given)
        except TypeError:
            continue
    raise AssertionError(f"nobody knows how to connect `{type(resource).__name__}`")


@pytest.mark.skipif(not hasattr(anthropic, "beta_tool"), reason="older versions have no tool runner")
@pytest.mark.parametrize("stream", [False, True])
def test_the_tool_runner_sends_the_whole_conversation(
    stream: bool, guard_of: Callable[..., Guard], provider: FaultyProvider
) -> None:
    @anthropic.beta_tool
    def find(number: str) -> str:
        """Find a parcel.

        Args:
            number: The number of the parcel.
        """
        return "here"

    guard = guard_of()
    client = wrap(bare("anthropic", provider), guard=guard)
    runner = client.beta.messages.tool_runner(**MESSAGE, tools=[find], stream=stream)
    assert runner.until_done().content[0].text == "Soon."
    assert "thread" not in provider.bodies[0]
    assert spent(guard) == (cost_of(provider), 0)
