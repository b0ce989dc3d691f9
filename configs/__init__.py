"""Settings, profiles, language maps and tasks that ship with AltLAS."""
