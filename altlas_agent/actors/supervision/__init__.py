"""The parts of the supervisor: how often is too often, the lives of one actor, and a group of them."""
