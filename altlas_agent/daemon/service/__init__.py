"""What the daemon needs to be a good service: a place to be found at, a manager to report to, stacks to show."""
