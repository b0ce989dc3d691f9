"""What people name on the command line: runs, attempts and times, and what a shell offers for them."""
