"""altlas vocab: how the abstract tokens are used, and what they lack."""
