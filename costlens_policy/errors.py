"""The root of every error this package raises on purpose."""

from __future__ import annotations

__all__ = ["CostlensPolicyError", "InputError", "RequestError", "SettingsError", "lowered"]


class CostlensPolicyError(Exception):
    """Base of all errors raised on purpose; anything else that escapes is a defect of this package."""


class InputError(CostlensPolicyError):
    """A file, folder or stream cannot be read or written; the message names it and says what to do."""


class SettingsError(InputError):
    """Settings are out of range, or cannot be used together; a command ends with its code for a usage error."""


class RequestError(CostlensPolicyError):
    """A request is not acceptable to the policy set: unknown name, wrong type, value out of range.

    ``problems`` holds one line per problem, each starting with the attribute's path.
    """

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems

    def __reduce__(self) -> tuple[type[RequestError], tuple[tuple[str, ...]]]:
        return RequestError, (self.problems,)


def lowered(text: str) -> str:
    """Return a sentence of another library as ours begin: in lower case, unless an acronym or a code comes first."""
    return text if text[1:2].isupper() else text[:1].lower() + text[1:]
