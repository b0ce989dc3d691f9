"""The abstract tokens, their maps to syntax, and the grammar over them."""
