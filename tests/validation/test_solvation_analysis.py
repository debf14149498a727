"""LiPF6 in BN/FEC: the same coordination numbers, correlations and shells as solvation-analysis."""

import importlib.util
import os
import sys
import warnings
from pathlib import Path

import pytest

PATH = Path(__file__).parents[2] / "validation" / "solvation_analysis" / "run.py"
DATA = Path(os.environ.get("CELLSIM_SOLVATION_ANALYSIS", "."))


@pytest.mark.filterwarnings("ignore::DeprecationWarning:MDAnalysis.*")
@pytest.mark.skipif(
    not (DATA / "bn_fec_data").is_dir(),
    reason="needs CELLSIM_SOLVATION_ANALYSIS, the test data of solvation-analysis (GPL, not shipped)",
)
def test_same_numbers_as_solvation_analysis():
    spec = importlib.util.spec_from_file_location("solvation_analysis_run", PATH)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["solvation_analysis_run"] = module
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        spec.loader.exec_module(module)
        rows = module.compare(DATA)
    assert [row.name for row in rows if not row.agrees] == []
    assert len(rows) == 20
