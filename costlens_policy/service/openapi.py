"""The OpenAPI document, made from the endpoints and the types of their bodies."""

from __future__ import annotations

import json
from functools import cache
from typing import Any, Final

import msgspec
from msgspec import Struct

from costlens_policy import __version__
from costlens_policy.client.wire import Nothing, Problem
from costlens_policy.service.endpoints import ENDPOINTS, Endpoint

__all__ = ["openapi_text"]

_REFS: Final = "#/components/schemas/{name}"
_PROBLEM: Final = {"application/json": {"schema": {"$ref": _REFS.format(name="Problem")}}}
_ALWAYS: Final = {
    401: "no key, or an unknown one",
    403: "the key lacks the scope",
    500: "a defect of the service",
    503: "too much at once, too slow, or the ledger cannot be reached; try again after `retry-after` seconds",
}


@cache
def openapi_text() -> str:
    """Return the document as JSON. It depends on this version alone."""
    return json.dumps(_document(), indent=2, ensure_ascii=False) + "\n"


def _document() -> dict[str, Any]:
    types: list[Any] = [Problem]
    for endpoint in ENDPOINTS:
        types += [endpoint.body, endpoint.answer]
    schemas, components = msgspec.json.schema_components(types, ref_template=_REFS)
    del schemas
    components.pop("Nothing", None)
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in ENDPOINTS:
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint)
    paths["/metrics"] = {"get": _text("metrics", "Prometheus metrics of all workers", "text/plain", {"type": "string"})}
    paths["/openapi.json"] = {"get": _text("openapi", "This document", "application/json", {"type": "object"})}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "costlens-policy",
            "version": __version__,
            "description": "Decisions, reservations and charges of one policy set.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "security": [{"key": []}],
        "paths": paths,
        "components": {
            "schemas": dict(sorted(components.items())),
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(endpoint: Endpoint[Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": endpoint.path.removeprefix("/v1").strip("/").replace("/", "_"),
        "summary": endpoint.summary,
        "description": _description(endpoint),
    }
    if endpoint.method == "POST":
        schema = {"$ref": _REFS.format(name=endpoint.body.__name__)}
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    elif endpoint.body is not Nothing:
        operation["parameters"] = list(_parameters(endpoint.body))
    answer = {"application/json": {"schema": {"$ref": _REFS.format(name=endpoint.answer.__name__)}}}
    responses: dict[str, Any] = {"200": {"description": _doc(endpoint.answer), "content": answer}}
    for status, why in sorted({**_ALWAYS, **_others(endpoint)}.items()):
        responses[str(status)] = {"description": why, "content": _PROBLEM}
    operation["responses"] = responses
    return operation


def _description(endpoint: Endpoint[Any]) -> str:
    needs = "any scope" if endpoint.scope is None else f"the scope `{endpoint.scope}`"
    return f"Needs a key with {needs}."


def _others(endpoint: Endpoint[Any]) -> dict[int, str]:
    """Return the statuses that only some endpoints answer with."""
    found = {400: "the request is not acceptable", 405: "the endpoint takes another method"}
    if endpoint.method == "POST":
        found[413] = "the body is too large"
        found[415] = "the body is compressed"
    if endpoint.denies:
        found[402] = "denied: a budget has no room"
        found[403] = "denied by the policies, or the key lacks the scope"
    if endpoint.calls:
        found[404] = "no call was ever held under this id"
        found[409] = "the id belongs to another call, or its call is settled"
    return found


def _parameters(body: type[Struct]) -> Any:
    for item in msgspec.structs.fields(body):
        yield {"name": item.name, "in": "query", "required": item.required, "schema": {"type": "string"}}


def _text(name: str, summary: str, kind: str, schema: dict[str, Any]) -> dict[str, Any]:
    responses: dict[str, Any] = {"200": {"description": summary, "content": {kind: {"schema": schema}}}}
    for status, why in sorted({**_ALWAYS, 405: "the endpoint takes another method"}.items()):
        responses[str(status)] = {"description": why, "content": _PROBLEM}
    return {"operationId": name, "summary": summary, "responses": responses}


def _doc(kind: type) -> str:
    return " ".join((kind.__doc__ or "").split())
