"""Commands about this machine: where things are, what works here, and completion for its shell."""
