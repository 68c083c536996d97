"""What ``cel`` does: type and evaluate expressions, one by one or in a console."""
