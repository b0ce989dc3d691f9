"""The student process: samples, losses, the optimiser step."""
