"""Runs that are carried on: here in the foreground, or by the daemon."""
