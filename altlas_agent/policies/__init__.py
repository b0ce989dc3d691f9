"""What generates: networks from random weights, and their checkpoints."""
