"""The thermodynamic factor from the composition of a running box."""
