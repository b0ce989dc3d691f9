"""Runs as a whole: what people say about them, whether they live, and how they are taken away."""
