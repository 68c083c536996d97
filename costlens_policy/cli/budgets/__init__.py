"""What the ``budget`` commands do: look at a ledger, change limits by hand, watch money being spent."""
