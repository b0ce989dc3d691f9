"""How the abstract tokens are used: counted, and kept in balance."""
