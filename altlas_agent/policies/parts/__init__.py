"""What the policies are made of: attention, positions, blocks, caches, readers, initial weights."""
