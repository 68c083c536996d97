"""The chat model with the oldest and the newest LangChain that it works with."""

from __future__ import annotations

import pytest

from tests.integration.environments import installed, run_tests

VERSIONS = {
    "oldest": ("langchain-core==1.0.0", "langchain-openai==1.0.0", "langchain-anthropic==1.0.0"),
    "newest": ("langchain-core>=1.8", "langchain-openai", "langchain-anthropic"),
}


@pytest.mark.parametrize("version", VERSIONS)
def test_a_version(version: str) -> None:
    python = installed(f"langchain-{version}", *VERSIONS[version])
    run_tests(python, "tests/integration/langchain/chat_models.py")
