"""Nouns that records are made of."""
