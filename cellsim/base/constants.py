"""Physical constants, exact since the SI of 2019 (BIPM, *The International System of Units*, 9th ed.)."""

N_A = 6.02214076e23
"""Avogadro constant [1/mol]."""
k_B = 1.380649e-23
"""Boltzmann constant [J/K]."""
e = 1.602176634e-19
"""Elementary charge [C]."""
F = N_A * e
"""Faraday constant [C/mol]."""
R = N_A * k_B
"""Gas constant [J/(mol K)]."""
V_LITHIUM = 13.0e-6
"""Molar volume of lithium metal [m^3/mol]."""
