"""How settings are found in files, environment and flags, merged and checked."""
