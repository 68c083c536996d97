"""Replay of traffic that is shared out over workers: what has to stay together, one share, and all of them again."""
