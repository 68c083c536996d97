"""Decide, reserve and settle over HTTP: what ``costlens-policy serve`` runs. See docs/service.md."""
