"""The losses: pure functions of log-probabilities, advantages and masks."""
