"""Commands that run programs in the sandbox, and look after it."""
