"""The reference policies as a service: asked from Node.js and Python, beside a wrapped SDK, and the ledger after it."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

from rich.console import RenderableType
from rich.markup import escape
from shapes import table

from costlens_policy.money import format_usd

__all__ = ["served"]

_EXTRA = ("httptools", "httpx", "msgspec", "prometheus_client", "uvicorn", "uvloop")
_PROMPT = "Where is my parcel? Write to ada@example.com."
_USAGE = {"prompt_tokens": 2400, "completion_tokens": 310}
_SCRIPT = """
import { Router } from %s;

const router = new Router({ url: process.env.COSTLENS_URL });

async function processRequest(task, prompt) {
  const model = await router.getOptimalModel({ task, prompt, costBudget: 0.01 });
  return { task, name: model.name, prompt: model.prompt };
}

const found = [];
for (const task of ["summarization", "classification", "chat"]) found.push(await processRequest(task, %s));
console.log(JSON.stringify(found));
router.close();
"""


def served(policies: Path, package: Path, written: Path) -> Iterator[RenderableType]:
    """Yield what Node.js is answered, and the ledger after calls of two teams."""
    missing = [name for name in _EXTRA if importlib.util.find_spec(name) is None]
    if missing:
        yield f"5. The service is left out: it needs {', '.join(missing)} (the extras `serve` and `client`)\n"
        return
    written.mkdir(parents=True, exist_ok=True)
    ledger = written / "spend.db"
    ledger.unlink(missing_ok=True)
    with _service(policies, f"sqlite:///{ledger.resolve()}") as url:
        node = shutil.which("node")
        if node is not None:
            yield _from_node(node, package, url)
        yield _from_python(url, policies, ledger)


def _from_node(node: str, package: Path, url: str) -> RenderableType:
    script = _SCRIPT % (json.dumps((package / "index.mjs").as_uri()), json.dumps(_PROMPT))
    command = [node, "--input-type=module", "--eval", script]
    environment = os.environ | {"COSTLENS_URL": url}
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    shown = table(
        "5. The policies as a service, asked from Node.js", ("processRequest", "model", "prompt as it is sent")
    )
    for answer in json.loads(ran.stdout):
        shown.add_row(answer["task"], f"[green]{answer['name']}[/]", escape(answer["prompt"]))
    return shown


def _from_python(url: str, policies: Path, ledger: Path) -> RenderableType:
    from costlens_policy.client import Client

    headings = ("budget", "team", "used", "held", "left")
    shown = table(
        "6. Calls through the client of Python and a wrapped client of OpenAI's SDK, and the ledger", headings,
        numbers=headings[2:],
        caption="One call of `sales` is under way: what it may cost is held. `research` calls the SDK in this process,"
        " with a guard on the same ledger.",
    )  # fmt: skip
    _from_sdk(policies, ledger)
    with Client(url) as client:
        for team, calls in (("support", 3), ("sales", 1)):
            for _ in range(calls):
                with client.call({"task": "summarization", "prompt": _PROMPT, "team": team}) as call:
                    call.settle(_USAGE)
        client.reserve({"task": "chat", "prompt": _PROMPT, "team": "sales"})
        for line in client.spend("cost-caps/team-month"):
            used, held, left = (format_usd(Decimal(amount or 0)) for amount in (line.used, line.held, line.left))
            shown.add_row(line.budget, line.key, used, held, left)
    return shown


def _from_sdk(policies: Path, ledger: Path) -> None:
    """Call OpenAI's SDK as a program would, but for `wrap`, and with an answer in place of the provider's."""
    if importlib.util.find_spec("openai") is None:
        return
    import openai

    from costlens_policy import Guard, load, wrap

    message = {"role": "assistant", "content": "It is on its way."}
    usage = {"prompt_tokens": 2400, "completion_tokens": 310, "total_tokens": 2710}
    choice = {"index": 0, "finish_reason": "stop", "message": message}
    answer = {"id": "a", "object": "chat.completion", "created": 1, "choices": [choice], "usage": usage}
    httpx = sys.modules[openai.DefaultHttpxClient.__mro__[1].__module__.partition(".")[0]]

    def answered(request: Any) -> Any:
        return httpx.Response(200, json=answer | {"model": json.loads(request.content)["model"]})

    http = openai.DefaultHttpxClient(transport=httpx.MockTransport(answered))
    sdk = openai.OpenAI(api_key="none", base_url="http://127.0.0.1/v1", http_client=http)
    with Guard(load(policies), f"sqlite:///{ledger.resolve()}", alert_sinks=[]) as guard:
        client = wrap(sdk, guard=guard, asking={"task": "summarization", "team": "research"})
        for _ in range(2):
            client.chat.completions.create(model="gpt-5-mini", messages=[{"role": "user", "content": _PROMPT}])


@contextmanager
def _service(policies: Path, ledger: str) -> Iterator[str]:
    """Run the service on a free port, for this machine and without keys; return its URL."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "costlens_policy", "serve", str(policies), "--ledger", ledger]
    command += ["--listen", f"127.0.0.1:{port}", "--without-key", "everything"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        for _ in range(600):
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(60)
