"""What a program is in each language: rendering, parsing, structure, identity."""
