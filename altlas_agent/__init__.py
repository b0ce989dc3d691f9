"""AltLAS trains policies to write programs from the feedback of running them."""

__version__ = "0.1.0"
