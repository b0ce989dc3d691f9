"""Worker processes as one crew: who asks them, in which turn, and what is remembered of their answers."""
