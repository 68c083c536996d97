"""Reports on traffic that is shared out over workers: each sums up its rows, and the sums are added up exactly."""
