"""Every knob, one module per room, and how settings are found and merged."""
