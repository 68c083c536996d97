"""The package for Node.js: its own tests, its README, and its answers beside those of the library."""

from __future__ import annotations

import json
import re
import shutil
import subprocess

import pytest

from costlens_policy import Router, load
from tests.clients.conftest import PACKAGE
from tests.conftest import ROOT
from tests.docs.walkthrough import blocks

TASKS = ("summarization", "classification", "brainstorming", "chat")
PROMPT = "Where is my parcel? Write to ada@example.com."


def test_its_own_tests_pass(node):
    ran = subprocess.run([node, "--test", "test/"], cwd=PACKAGE, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stdout


def test_the_function_of_the_readme_asks_as_the_library_does(reference, run_script):
    pages = (PACKAGE / "README.md", ROOT / "README.md")
    found = [block.text for page in pages for block in blocks(page.read_text()) if "processRequest" in block.text]
    example, same = found
    assert example == same
    calls = "const callModel = (name, prompt, parameters) => ({ name, prompt, parameters });\n"
    asks = f"""
const found = [];
for (const task of {json.dumps(TASKS)}) found.push(await processRequest(task, {json.dumps(PROMPT)}));
console.log(JSON.stringify(found));
router.close();
"""
    found = run_script(
        example + calls + asks, COSTLENS_URL=f"http://127.0.0.1:{reference.port}", COSTLENS_KEY="clp_a_b"
    )
    router = Router(load(ROOT / "policies", cache=False))
    for task, answer in zip(TASKS, found, strict=True):
        best = router.get_optimal_model(task=task, prompt=PROMPT, cost_budget=0.01)
        decision = best.decision
        assert answer == {"name": best.name, "prompt": decision.prompt, "parameters": dict(decision.params)}


def test_a_call_is_reserved_and_settled(reference, run_script):
    answer = run_script(
        """
import { Router } from "costlens-policy";
const router = new Router({ url: process.env.COSTLENS_URL });
const request = { task: "summarization", prompt: "Hi", team: "node" };
const reservation = await router.reserve(request, { dialect: "anthropic" });
const charge = await reservation.settle({ input_tokens: 10, output_tokens: 5 });
const [spend] = await router.spend({ budget: "cost-caps/team-month", key: "node" });
console.log(JSON.stringify({ charge, spend, sent: reservation.model.arguments }));
router.close();
""",
        COSTLENS_URL=f"http://127.0.0.1:{reference.port}",
    )
    assert answer["charge"]["basis"] == "reported"
    assert answer["spend"]["used"] == answer["charge"]["cost_usd"]
    assert answer["sent"]["messages"] == [{"role": "user", "content": "Hi"}]


def test_commonjs_finds_the_same(node):
    names = "(module) => Object.keys(module).filter((name) => name !== 'default').sort()"
    both = "[require('./index.cjs'), await import('./index.mjs')]"
    code = f"(async () => console.log(JSON.stringify({both}.map({names}))))()"
    ran = subprocess.run([node, "-e", code], cwd=PACKAGE, capture_output=True, text=True, check=True)
    required, imported = json.loads(ran.stdout)
    assert required == imported
    typed = re.findall(r"^export (?:class|function) (\w+)", (PACKAGE / "index.d.ts").read_text(), re.MULTILINE)
    assert sorted(typed) == required


def test_what_is_packed():
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not installed")
    ran = subprocess.run(
        [npm, "pack", "--dry-run", "--json", "--offline"],
        cwd=PACKAGE,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    (packed,) = json.loads(ran.stdout)
    assert sorted(item["path"] for item in packed["files"]) == [
        "LICENSE", "README.md", "index.cjs", "index.d.mts", "index.d.ts", "index.mjs", "lib/connection.cjs",
        "lib/errors.cjs", "lib/metering.cjs", "lib/openai.cjs", "lib/operations.cjs", "lib/options.cjs",
        "lib/router.cjs", "lib/runs.cjs", "package.json",
    ]  # fmt: skip
