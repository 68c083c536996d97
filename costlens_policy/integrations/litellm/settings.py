"""What operators configure: a section of the proxy's own YAML file, or the environment."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final, Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from costlens_policy.guard.errors import GuardError

__all__ = ["Settings", "Telemetry", "Unanswered", "settings_from"]

Unanswered: TypeAlias = Literal["charge", "release"]

_ENVIRONMENT: Final = {"policies": "COSTLENS_POLICIES", "ledger": "COSTLENS_LEDGER"}
_SECTION: Final = "costlens_policy"


class Telemetry(BaseModel):
    """Metrics and spans by OpenTelemetry: ``labels`` are attributes of requests."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    labels: tuple[str, ...] = ("team", "feature")
    spans: bool = True


class Settings(BaseModel):
    """The section ``costlens_policy`` of ``litellm_settings``.

    ``policies`` are files and folders, a bundle, or the URL of a source. They are looked at every ``reload_seconds``,
    and replaced while the proxy serves; None leaves them as they are. With ``trusted_keys``, files of public keys, a
    bundle must be signed, and ``bundle_state`` remembers the last revision. ``ledger`` is the URL of the ledger.
    ``decision_log`` is the file of a decision log, ``log_sample`` the share of allowed calls in it.

    ``attributes`` says where attributes of the
    request come from, beside ``TRUSTED`` of ``identity``. ``models`` gives the model of the catalogue for a
    ``model_name`` of LiteLLM where its deployments do not tell. ``client_metadata`` are the keys of a client's metadata
    that LiteLLM may keep, such as ``trace_id``. ``unguarded`` lists call types of LiteLLM that are let through without
    being decided or counted. ``unanswered`` says what becomes of an attempt of which nobody knows whether the provider
    worked for it: a time-out, a lost connection, a client that went away. ``lease_seconds`` is how long a hold stands
    if its process dies.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    policies: tuple[str, ...]
    ledger: str
    reload_seconds: float | None = Field(default=5, gt=0)
    trusted_keys: tuple[str, ...] | None = None
    bundle_state: str | None = None
    decision_log: str | None = None
    log_sample: float = Field(default=1, ge=0, le=1)
    telemetry: Telemetry | None = None
    attributes: Mapping[str, tuple[str, ...]] = Field(default_factory=dict)
    models: Mapping[str, str] = Field(default_factory=dict)
    client_metadata: frozenset[str] = frozenset()
    unguarded: frozenset[str] = frozenset()
    unanswered: Unanswered = "charge"
    lease_seconds: float = Field(default=600, gt=0)

    @field_validator("policies", "trusted_keys", mode="before")
    @classmethod
    def _paths(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        return [value] if "://" in value else value.split(os.pathsep)

    @field_validator("telemetry", mode="before")
    @classmethod
    def _switched(cls, value: Any) -> Any:
        return ({} if value else None) if isinstance(value, bool) else value

    @model_validator(mode="after")
    def _belongs_together(self) -> Self:
        if self.bundle_state is not None and self.trusted_keys is None:
            raise ValueError("`bundle_state` belongs to `trusted_keys`")
        return self

    @field_validator("attributes", mode="before")
    @classmethod
    def _sources(cls, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        return {name: (source,) if isinstance(source, str) else source for name, source in value.items()}

    def lets_through(self, call_type: str) -> bool:
        """Whether calls of a type are neither decided nor counted; `aspeech` is the asynchronous form of `speech`."""
        return call_type in self.unguarded or call_type.removeprefix("a") in self.unguarded

    @property
    def lease(self) -> timedelta:
        return timedelta(seconds=self.lease_seconds)


def settings_from(section: Any, environment: Mapping[str, str] = os.environ) -> Settings:
    """Return the settings of the YAML section, completed by the environment. Raises ``GuardError``."""
    if section is not None and not isinstance(section, Mapping):
        raise GuardError(f"`{_SECTION}` of `litellm_settings` must be an object, got `{section!r}`")
    given = {name: environment[key] for name, key in _ENVIRONMENT.items() if environment.get(key)}
    given |= {str(name): _resolved(value, environment) for name, value in (section or {}).items()}
    missing = [name for name in _ENVIRONMENT if name not in given]
    if missing:
        ways = " or ".join(f"`{_ENVIRONMENT[name]}`" for name in missing)
        names = " and ".join(f"`{name}`" for name in missing)
        raise GuardError(
            f"{names} must be set in `litellm_settings: {{{_SECTION}: …}}`, or in the environment ({ways})"
        )
    try:
        settings = Settings.model_validate(given)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        place = ".".join(map(str, (_SECTION, *problem["loc"])))
        raise GuardError(f"`{place}` of `litellm_settings`: {problem['msg']}") from None
    _check_workers(settings, sys.argv, environment)
    return settings


def _resolved(value: Any, environment: Mapping[str, str]) -> Any:
    """Return a value with ``os.environ/NAME`` replaced, which is how LiteLLM's files refer to the environment."""
    if isinstance(value, str) and value.startswith("os.environ/"):
        name = value.removeprefix("os.environ/")
        if name not in environment:
            raise GuardError(f"`{value}` refers to an environment variable that is not set")
        return environment[name]
    return value


def _check_workers(settings: Settings, arguments: Sequence[str], environment: Mapping[str, str]) -> None:
    """Refuse a ledger in memory where several processes serve: each would grant the whole budget."""
    if settings.ledger != "memory:":
        return
    count = _workers(arguments, environment)
    if count > 1 or multiprocessing.parent_process() is not None:
        raise GuardError(
            "the ledger `memory:` belongs to one process, and the proxy runs several workers; use `sqlite:///…`,"
            " `redis://…` or `postgresql://…`"
        )


def _workers(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """Return how many workers the proxy was told to start, as its command line reads that."""
    said = [environment.get("NUM_WORKERS", ""), environment.get("WEB_CONCURRENCY", "")]
    for at, argument in enumerate(arguments):
        name, _, value = argument.partition("=")
        if name in ("--num_workers", "--workers", "-w"):
            said.append(value or (arguments[at + 1] if at + 1 < len(arguments) else ""))
    return max((int(text) for text in said if text.isdigit()), default=1)
