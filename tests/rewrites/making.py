"""Short ways to make operations and contents."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from costlens_policy.documents.rewrites import Operation
from costlens_policy.rewrites import Change, Content, RewriteStep, compile_operation


def step(values: Mapping[str, Callable[..., Any]] | None = None, **operation: Any) -> RewriteStep:
    """Compile ``step(prefix={"text": "x"})``."""
    return compile_operation(Operation.model_validate(operation), values or {})


def prompt(text: str, **params: Any) -> Content:
    return Content(text, None, params)


def chat(*messages: Any, **params: Any) -> Content:
    return Content(None, messages, params)


def rewritten(content: Content, **operation: Any) -> Content:
    return step(**operation).apply(content, ())[0]


def changes(content: Content, **operation: Any) -> tuple[Change, ...]:
    return step(**operation).apply(content, ())[1]


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


def assistant(content: Any, **more: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": content, **more}


def system(content: Any) -> dict[str, Any]:
    return {"role": "system", "content": content}


def text(content: str) -> dict[str, Any]:
    return {"type": "text", "text": content}


IMAGE = {"type": "image_url", "image_url": {"url": "https://example.org/cat.png"}}
