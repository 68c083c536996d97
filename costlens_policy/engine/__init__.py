"""The engine: a plan, a request, balances and the time in; a decision out."""
