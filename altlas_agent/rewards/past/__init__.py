"""What the feedback on earlier attempts leaves behind: a memory for each task, and what is made of it."""
