"""Where calls come from: traffic logs, and ledgers."""
