"""Source text to abstract tokens: the way back from what `render` writes, and from what people write."""
