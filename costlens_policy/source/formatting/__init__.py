"""Lay out a YAML text line by line, so that comments, quotes and line breaks of the author stay where they are."""
