"""Traffic from where it lies: object stores, tables of a lake, and databases, as copies that are read like files."""
