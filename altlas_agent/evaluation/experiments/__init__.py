"""Comparisons of settings: several seeds per arm, equal budgets, means with intervals."""
