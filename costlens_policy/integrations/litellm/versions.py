"""Whether the LiteLLM at hand calls its hooks with the arguments that this package was tested with.

LiteLLM calls its hooks with keyword arguments, so a parameter that was renamed is a hook that raises, and LiteLLM logs
what a hook raises and goes on: a charge is lost for each call. So the names are compared when the callback is made.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, Final

from costlens_policy.guard.errors import GuardError

__all__ = ["HOOKS", "NEWEST", "OLDEST", "check_version"]

OLDEST: Final = (1, 100, 0)
NEWEST: Final = (1, 108, 7)
"""The versions that the tests run with."""

HOOKS: Final[Mapping[str, tuple[str, ...]]] = {
    "async_pre_call_hook": ("user_api_key_dict", "cache", "data", "call_type"),
    "async_post_call_success_hook": ("data", "user_api_key_dict", "response"),
    "async_post_call_failure_hook": ("request_data", "original_exception", "user_api_key_dict", "traceback_str"),
    "async_post_call_streaming_iterator_hook": ("user_api_key_dict", "response", "request_data"),
    "async_pre_call_deployment_hook": ("kwargs", "call_type"),
    "async_post_call_success_deployment_hook": ("request_data", "response", "call_type"),
    "async_post_call_failure_deployment_hook": ("request_data", "exception", "call_type", "fallback_depth"),
    "async_log_success_event": ("kwargs", "response_obj", "start_time", "end_time"),
}
"""The hooks that are used, with the names of their arguments."""


def check_version(logger: type, module: Any) -> None:
    """Raise ``GuardError`` where a hook is missing, or has arguments of other names."""
    for name, expected in HOOKS.items():
        hook = getattr(logger, name, None)
        found = () if hook is None else tuple(inspect.signature(hook).parameters)[1:]
        if found != expected:
            version = getattr(module, "__version__", None) or _installed()
            has = f"`{name}({', '.join(found)})`" if hook is not None else f"no `{name}`"
            raise GuardError(
                f"LiteLLM {version} has {has}, where `{name}({', '.join(expected)})` is needed; use LiteLLM from"
                f" {_shown(OLDEST)} to {_shown(NEWEST)}"
            )


def _installed() -> str:
    from importlib.metadata import version

    return version("litellm")


def _shown(version: tuple[int, int, int]) -> str:
    return ".".join(map(str, version))
