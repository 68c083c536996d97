"""One module per command; each names its command ``command``."""
