"""What can be said of a policy set without traffic: decided on the requests that its rules can tell apart."""

from costlens_policy.assurance.examine import examine

__all__ = ["examine"]
