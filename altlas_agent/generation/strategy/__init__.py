"""Which strategy draws an attempt, and what that choice remembers of the attempts before."""
