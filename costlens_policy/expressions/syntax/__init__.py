"""From text to tree: tokens, cel-python's grammar, nodes, macros."""
