"""The exact form: a tree of closures with the whole of CEL's semantics, error absorption and places included.

It is built when the fast form first raises, or for a trace; nothing in it depends on static types.
"""
