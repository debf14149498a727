"""What a transport set needs beside an Onsager matrix: the tables of a SET.toml but for chi."""

RECIPE = """
[salt]
formula = "LiX"
M = "287 g/mol"
[solvent]
name = "S"
M = "44 g/mol"
[volumes]
V_e = "100 cm^3/mol"
V_0 = "40 cm^3/mol"
source = "assumed"
[chi]
basis = "molal"
"""
