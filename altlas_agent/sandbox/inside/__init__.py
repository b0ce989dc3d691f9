"""What is staged inside a jail: it imports nothing of the project but itself."""
