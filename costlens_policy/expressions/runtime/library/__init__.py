"""The extension libraries of CEL, and our own."""
