"""Questions to one named actor, with a deadline: the desk where it takes them, and who may ask whom."""
