"""Runners of languages that a file of settings describes: by a command, or compiled first."""
