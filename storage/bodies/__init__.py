"""Texts of attempts: stored once each, compressed, and checked by their hash when they are read."""
