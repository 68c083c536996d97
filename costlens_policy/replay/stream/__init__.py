"""Replay of files in bounded memory: batches in time order, a state that can be written down and resumed."""
