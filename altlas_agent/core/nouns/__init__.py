"""The words that records are made of, where there are many of them."""
