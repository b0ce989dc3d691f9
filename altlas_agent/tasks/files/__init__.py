"""What a task file is made of: text, tree, rules, parameters and literals."""
