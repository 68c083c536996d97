"""Machines that are not Linux, as far as one that is can play them."""
