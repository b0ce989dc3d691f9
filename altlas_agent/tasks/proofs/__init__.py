"""What can be proved of a task, with and without running programs."""
