"""The command line, one lazily loaded module per group."""
