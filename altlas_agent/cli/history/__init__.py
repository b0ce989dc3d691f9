"""Commands over what was run: they read SQLite, start fast and import nothing heavy."""
