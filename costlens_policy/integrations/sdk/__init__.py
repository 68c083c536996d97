"""The official SDKs of OpenAI and Anthropic under the guard.

``client.py`` makes a client whose every request comes here. ``operations.py`` has a row for each path: calls of models
are guarded, what runs no model passes, and all else is refused. ``bodies.py`` reads a body as a request and writes what
was decided into it. ``attempts.py`` repeats and falls back, ``answers.py`` settles what came.
"""
