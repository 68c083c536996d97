"""The values of CEL at work: every function of the language and its libraries, exactly as specified."""

from costlens_policy.expressions.runtime.admission import admit, admitter
from costlens_policy.expressions.runtime.equality import equals
from costlens_policy.expressions.runtime.errors import CelError
from costlens_policy.expressions.runtime.python_values import AdmissionError, from_python, of_library, to_python

__all__ = ["AdmissionError", "CelError", "admit", "admitter", "equals", "from_python", "of_library", "to_python"]
