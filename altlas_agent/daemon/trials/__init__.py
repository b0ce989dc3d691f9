"""Runs and policies that are measured: exams and experiments."""
