"""Published Onsager coefficients of water-methanol, from the tables of the OCTP example (Jamali et al. 2019).

The tables stand under the GPL in the repository omoultosEthTuDelft/OCTP (commit 0febdc2e), folder "examples/Complete
example with postprocessing in python/example_lammps_output", and are not shipped here. Give that folder in
MDCOEFFS_OCTP to run this test.
"""

import os
from pathlib import Path

import numpy as np
import pytest

from mdcoeffs.onsager.octp import fit_slopes, read_octp

FOLDER = os.environ.get("MDCOEFFS_OCTP", "")
# Mean and standard deviation of five runs, as published with the example (postprocessed.csv) [m^2/s]
PUBLISHED = np.array([[8.4417e-10, -4.7340e-10], [-4.7340e-10, 2.6860e-10]])
ERROR = np.array([[5.577e-11, 1.933e-11], [1.933e-11, 2.775e-11]])


@pytest.mark.skipif(not FOLDER, reason="the GPL tables of OCTP are not shipped; give their folder in MDCOEFFS_OCTP")
def test_water_methanol_within_the_published_errors():
    tables = [read_octp(Path(FOLDER) / f"run{k}" / "diffonsag.dat", ["wat", "met"]) for k in range(1, 6)]
    slopes = fit_slopes(tables)
    value, _ = slopes.per_molecule(2000)
    # measured: 8.327 / -4.673 / 2.626 e-10 m^2/s over the window 25 to 150 ps: 0.21, 0.31 and 0.22 of the errors
    assert np.all(np.abs(value - PUBLISHED) < ERROR)
    assert np.all(np.abs(slopes.exponent - 1) <= 0.1)
    # mass conservation ties the three together (barycentric frame): Lambda_ww : Lambda_wm : Lambda_mm
    ratio = 32.042 / 18.015
    assert value[0, 0] / value[1, 1] == pytest.approx(ratio**2, rel=5e-3)
    assert value[0, 1] / value[1, 1] == pytest.approx(-ratio, rel=5e-3)
