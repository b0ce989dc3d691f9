"""What is regulated from step to step: the entropy bonus, the learning rate, the length of gradients."""
