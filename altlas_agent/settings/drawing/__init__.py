"""Settings of how tokens are drawn, in parts: each is off as it comes."""
