"""From rows to what the database keeps of them, and back."""
