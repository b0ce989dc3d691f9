"""Child processes of ours: started, asked, watched, ended with all that they started."""
