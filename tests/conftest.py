"""One thread per process: the matrices are small, and two cores are shared by the test workers."""

import os
import sys
from pathlib import Path

import pytest

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
os.environ.setdefault("FIPY_SOLVERS", "scipy")
os.environ.setdefault("MPLBACKEND", "Agg")
sys.path.insert(0, str(Path(__file__).parent / "toys"))  # toy cases and test doubles: `from laboratory_toys import ...`


@pytest.fixture(autouse=True, scope="session")
def coarse_pixels():
    """Figures of the tests are drawn whole, but in few pixels: nobody looks at them."""
    from cellsim.drawing import figstyle

    figstyle._RC["savefig.dpi"] = 60
