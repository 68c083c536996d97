"""What can be said of a policy set without traffic: decided on the requests that its rules can tell apart."""
