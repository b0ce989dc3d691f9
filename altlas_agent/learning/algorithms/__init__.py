"""One small class per algorithm: it annotates a group with per-token weights."""
