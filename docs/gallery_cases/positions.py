"""POSITIONS.toml beside the SPECIES.toml of a simulated run, for analyses of positions: python ... FOLDER."""

import sys
from pathlib import Path

folder = Path(sys.argv[1])
text = (folder / "SPECIES.toml").read_text(encoding="utf-8").replace("displacements.npz", "positions.npz")
text = "\n".join(line for line in text.splitlines() if not line.startswith("count"))  # the arrays count
text += '\n[structure.cutoffs]\nX = "6.4 angstrom"\nS = "5.7 angstrom"'  # first minima of g(r)
(folder / "POSITIONS.toml").write_text(text + "\n", encoding="utf-8")
