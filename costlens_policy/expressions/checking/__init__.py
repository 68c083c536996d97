"""From tree to typed tree: names, overloads, gradual types."""
