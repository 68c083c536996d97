"""Two versions of a policy set compared, stage by stage."""
