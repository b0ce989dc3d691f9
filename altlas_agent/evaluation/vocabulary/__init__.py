"""What the vocabulary is used for, what it lacks, and what it could do without."""
