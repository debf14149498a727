"""What version 1.0 wrote is read by every 1.x: results, sets, cases (docs/install.md, "What stays the same").

The files in tests/data/version_1 are made by its make.py and never made again. Their numbers are compared with each
other and with the coefficients of the walkers, not with what a reader gives.
"""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import cellsim
import mdcoeffs
from cellsim.run.case import load_case
from cellsim.run.folder import predict, read_run

OLD = Path(__file__).parents[1] / "data" / "version_1"


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("old")
    shutil.copytree(OLD, folder, dirs_exist_ok=True)
    return folder


def test_a_result_of_onsager(files):
    matrix = mdcoeffs.read_onsager(files / "onsager")
    np.testing.assert_allclose(matrix.Omega, [[1.0e-10, 0.2e-10], [0.2e-10, 1.5e-10]], atol=4 * 0.69e-11)
    stored = json.loads((files / "onsager" / "summary.json").read_text())
    assert matrix.kappa == pytest.approx(stored["quantities"]["kappa"]["value"], rel=1e-12)
    low, high = matrix.interval("rho_plus")
    assert 0.40 < low < 0.4512 < high < 0.50  # what was printed when the files were made: 0.4114 to 0.4936


def test_a_set_with_covariance_and_draws(files):
    transport = cellsim.load_set(files / "salt.toml")
    matrix = mdcoeffs.read_onsager(files / "onsager")
    c = np.array([923.0])
    assert float(transport.kappa(c)[0]) == pytest.approx(matrix.kappa, rel=1e-3)
    assert float(transport.t_plus(c)[0]) == pytest.approx(matrix.t_plus, rel=1e-3)


def test_a_run_and_the_same_run_now(files):
    _, then = read_run(files / "run", files / "cell.toml")
    stored = json.loads((files / "run" / "summary.json").read_text())
    assert then["i"][-1] == pytest.approx(stored["i_end"], rel=1e-12)
    now = predict(load_case(files / "cell.toml"), solver="compiled")
    assert now["i"][-1] == pytest.approx(then["i"][-1], rel=2e-4)
