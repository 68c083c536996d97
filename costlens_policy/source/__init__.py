"""From bytes to YAML values with their places.

``read`` gives a ``SourceText``, ``compose`` its ``LocatedDocument`` s, ``places`` turns offsets into positions,
``format`` lays a text out. Nothing is imported here, so that the types in ``located`` cost no YAML parser.
"""
