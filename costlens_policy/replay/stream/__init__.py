"""Replay of files in bounded memory: batches in the order of time, a state that can be written down and resumed."""
