"""The daemon-side faces and listeners, one module per actor."""
