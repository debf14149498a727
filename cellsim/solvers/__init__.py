"""Solvers: each owns its grid, quadrature and time stepping; the physics is in cellsim.model.equations."""
