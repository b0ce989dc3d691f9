"""From the logits of a policy to the distribution that a token is drawn from, for one step and for a whole program."""
