"""Reading a database that somebody else may write: shipped queries, guarded connections, what they give."""
