"""The double well of ``benchmarks/interface_double_well.py``: walkers, a known barrier, and how often bars hold it."""

import importlib.util
import sys
from pathlib import Path

_PATH = Path(__file__).parents[2] / "benchmarks" / "interface_double_well.py"
_SPEC = importlib.util.spec_from_file_location("interface_double_well", _PATH)
assert _SPEC is not None and _SPEC.loader is not None
study = importlib.util.module_from_spec(_SPEC)
# Under one name for all tests: numba's cache of the compiled walk asks for the module by the name it was written under.
sys.modules["interface_double_well"] = study
_SPEC.loader.exec_module(study)
