"""What a program is judged by, one subject a module: pure functions of its text and of how it ran."""
