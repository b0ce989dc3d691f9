"""Arms that search for programs instead of sampling them."""
