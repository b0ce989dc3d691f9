"""What is said about programs beside their verdict: findings before a run, feedback and blame after it."""
