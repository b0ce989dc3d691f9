"""Measurements of AltLAS itself and of its policies."""
