"""Single walls of a jail that are built apart from bubblewrap."""
