"""Scripts of benchmarks/ and validation/ as modules."""

import importlib.util
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def loaded(path):
    """The module of a script, `path` from the repository root, run as its folder's scripts are."""
    file = ROOT / path
    if str(file.parent) not in sys.path:
        sys.path.append(str(file.parent))
    name = file.stem if file.stem != "run" else f"{file.parent.name}_run"
    spec = importlib.util.spec_from_file_location(name, file)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
