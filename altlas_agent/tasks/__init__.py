"""Task files to tasks: loading, families, proving and picking."""
