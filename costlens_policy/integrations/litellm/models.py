"""Which deployments of LiteLLM serve which model of the catalogue.

A ``model_name`` of LiteLLM's ``model_list`` is whatever its operator likes. Prices and rules need the model behind it:
that of ``model_info.costlens_model``, of ``model_info.base_model`` (what LiteLLM itself prices Azure's deployments
by), or of ``litellm_params.model``, in this order; or the one that the settings give for the ``model_name``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any, Final

from costlens_policy.catalogue import Catalogue
from costlens_policy.guard.errors import GuardError

__all__ = ["Groups", "model_of"]


def model_of(catalogue: Catalogue, names: Iterable[Any]) -> str | None:
    """Return the model of the catalogue that the first of the names means which is given; None for an unknown one."""
    name = next((name for name in names if isinstance(name, str) and name), "")
    found = catalogue.find(name)
    return None if found is None else found.name


def _said(info: Mapping[str, Any], sent: Any) -> Iterator[Any]:
    """Yield what a deployment says about its model, the most explicit first."""
    yield info.get("costlens_model")
    yield info.get("base_model")
    yield sent


class Groups:
    """The groups of deployments under one ``model_name``, as one state of a ``model_list`` has them."""

    def __init__(self, catalogue: Catalogue, model_list: Iterable[Mapping[str, Any]], given: Mapping[str, str]) -> None:
        self._catalogue: Final = catalogue
        self._given: Final = given
        self._models: Final[dict[str, str]] = {}
        self._serving: Final[dict[str, str]] = {}
        self._problems: Final[dict[str, str]] = {}
        self._patterns: Final[list[str]] = []
        for deployment in model_list:
            self._take(deployment)
        for group, model in self._models.items():
            if group not in self._problems:
                exactly = catalogue.find(group)
                if model not in self._serving or (exactly is not None and exactly.name == model):
                    self._serving[model] = group

    def _take(self, deployment: Mapping[str, Any]) -> None:
        group, sent = str(deployment.get("model_name")), (deployment.get("litellm_params") or {}).get("model")
        if "*" in group:  # LiteLLM fills in what the client asked for, and each attempt is looked at when it is made
            self._patterns.append(group)
            return
        model = self.model_sent(group, sent, deployment.get("model_info") or {})
        if model is None:
            self._problems[group] = (
                f"the catalogue does not list the model of `{group}` (`{sent}`); name it with `model_info:"
                f" {{costlens_model: …}}` at the deployment, or with `models: {{{group}: …}}` in the settings"
            )
        elif self._models.setdefault(group, model) != model:
            self._problems[group] = (
                f"the deployments of `{group}` serve different models, `{self._models[group]}` and `{model}`; give each"
                " model a `model_name` of its own"
            )

    @property
    def problems(self) -> Mapping[str, str]:
        """What is wrong with a group, by its name: no call can use it."""
        return self._problems

    def model_sent(self, group: str, sent: Any, info: Mapping[str, Any]) -> str | None:
        """Return the model of the catalogue that a deployment of a group serves."""
        names = (self._given[group],) if group in self._given else _said(info, sent)
        return model_of(self._catalogue, names)

    def asked(self, name: str) -> str:
        """Return what policies see as the model that a client asked for: the catalogue's, else the client's own name.

        Raises ``GuardError`` for a group whose model is unknown.
        """
        if name in self._problems:
            raise GuardError(self._problems[name])
        return self._models.get(name, name)

    def serving(self, model: str, asked: str) -> str | None:
        """Return the group that serves a model: the one that was asked for if it does. None where none does."""
        if self._models.get(asked) == model:
            return asked
        return self._serving.get(model) or self._matching(model, asked)

    def _matching(self, model: str, asked: str) -> str | None:
        """Return a name of the model that a pattern such as `openai/*` lets through."""
        found = self._catalogue.find(model)
        for name in (asked, f"{found.provider}/{model}" if found else model, model):
            if model_of(self._catalogue, (name,)) == model and any(fnmatchcase(name, item) for item in self._patterns):
                return name
        return None
