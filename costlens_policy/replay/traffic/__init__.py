"""Traffic: what was asked of models, read from files."""
