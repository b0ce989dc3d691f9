"""The store: tables, the one writer, and the questions that may be asked."""
