"""How a policy is asked for attempts."""
