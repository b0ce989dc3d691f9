"""Revisions of the one schema."""
