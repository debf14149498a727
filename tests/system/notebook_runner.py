"""Runs one notebook and prints its checks and shown texts as JSON; a process of its own for each.

    python notebook_runner.py NOTEBOOK.py '{"widget": value}'

marimo decodes with msgspec, which has open reports of crashes in garbage collection (msgspec/msgspec issue 717): it
never shares a process with other tests.
"""

import importlib.util
import json
import sys
from pathlib import Path
from types import SimpleNamespace


def main(path: Path, values: dict[str, object]) -> int:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    outputs, found = module.app.run(defs={key: SimpleNamespace(value=value) for key, value in values.items()})
    checks = {str(claim): bool(holds) for claim, holds in found["checks"].items()}
    print(json.dumps({"checks": checks, "texts": [getattr(output, "text", "") for output in outputs]}))
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), json.loads(sys.argv[2])))
