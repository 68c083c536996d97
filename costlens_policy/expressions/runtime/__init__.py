"""The values of CEL at work: every function of the language and its libraries, exactly as specified."""

from costlens_policy.expressions.errors import CelError
from costlens_policy.expressions.runtime.admission import (
    AdmissionError,
    admit,
    admitter,
    from_python,
    of_library,
    to_python,
)
from costlens_policy.expressions.runtime.equality import equals

__all__ = ["AdmissionError", "CelError", "admit", "admitter", "equals", "from_python", "of_library", "to_python"]
