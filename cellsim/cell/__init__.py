"""The cell: geometry, electrodes and their kinetics, and what is done to it."""
