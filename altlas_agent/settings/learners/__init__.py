"""Settings of learning in parts: one class per algorithm, and what is regulated from step to step."""
