"""What every room speaks: records, events, errors, and the machinery of actors and child processes."""
