"""The student against what the machine can multiply: what is needed, what is measured."""
