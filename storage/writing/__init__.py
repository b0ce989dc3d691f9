"""The thread of the writer: groups, checkpoints of the WAL, and the way back to the event loop."""
