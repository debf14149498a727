"""Mica | water with K+: same densities as MAICoS, same displacement variances as MDAnalysis by hand."""

import importlib.util
import os
import sys
from pathlib import Path

import pytest

PATH = Path(__file__).parents[2] / "validation" / "maicos" / "run.py"
DATA = Path(os.environ.get("CELLSIM_MAICOS", "."))


@pytest.mark.skipif(
    not (DATA / "peer.npz").is_file(),
    reason="needs CELLSIM_MAICOS, a folder with MAICoS' mica trajectory and peer.npz (GPL, not shipped)",
)
def test_same_numbers_as_maicos(tmp_path):
    spec = importlib.util.spec_from_file_location("maicos_run", PATH)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["maicos_run"] = module
    spec.loader.exec_module(module)
    rows = module.compare(DATA, tmp_path)
    # measured: 2 counts of 6060 and 4 of 59287 on the edges of bins, totals to 4e-10, variances to 2.5e-7
    assert [row.name for row in rows if not row.agrees] == []
    assert len(rows) == 7
