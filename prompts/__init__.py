"""Prompt templates, one folder per speaker."""
