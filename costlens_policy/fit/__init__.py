"""Policies fitted to evidence: recorded outcomes in; measured quality, thresholds and a policy out."""
