"""Molecular dynamics with OpenMM: an electrolyte described in SYSTEM.toml, run at its state points."""
