"""What the exit code of a command says."""

from __future__ import annotations

from enum import IntEnum

__all__ = ["ExitCode"]


class ExitCode(IntEnum):
    """Stable: scripts and CI depend on these numbers."""

    OK = 0
    INVALID = 1
    USAGE = 2
    NOTHING = 3
    TEST_FAILED = 4
    COVERAGE = 5
    FAILURE = 6
    GATE = 7
    DENIED = 10
    INTERRUPTED = 130

    @property
    def meaning(self) -> str:
        return _MEANINGS[self]


_MEANINGS = {
    ExitCode.OK: "success",
    ExitCode.INVALID: "a policy, catalogue, suite or expression is invalid, or not formatted",
    ExitCode.USAGE: "usage error, or a request that the policy set does not accept",
    ExitCode.NOTHING: "nothing to do: no policy file or no test case was found",
    ExitCode.TEST_FAILED: "a policy test failed",
    ExitCode.COVERAGE: "rule coverage is below the threshold",
    ExitCode.FAILURE: "a file or stream cannot be read or written, or an internal error",
    ExitCode.GATE: "a limit that was asked for does not hold: cost, denials, or rows left out",
    ExitCode.DENIED: "the decision is to deny, with `--exit-code`",
    ExitCode.INTERRUPTED: "interrupted by Ctrl-C",
}
