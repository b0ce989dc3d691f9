"""One revision per module, applied in the order of their numbers."""
