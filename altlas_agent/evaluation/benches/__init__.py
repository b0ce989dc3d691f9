"""What `altlas bench` measures, one module per subject."""
