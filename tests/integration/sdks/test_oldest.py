"""Wrapped clients with the oldest SDKs that they promise to work with; every run of the tests has the newest."""

from __future__ import annotations

from tests.integration.environments import installed, run_tests


def test_the_oldest_sdks() -> None:
    python = installed("sdks-oldest", "openai==2.0.0", "anthropic==0.70.0")
    files = ("test_entrances", "test_wrapped", "test_wrapped_faults")
    run_tests(python, *(f"tests/integrations/{name}.py" for name in files))
