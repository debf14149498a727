"""How long the interactive page takes: first paint, and a solve at every corner of its sliders, in headless Chromium.

    python benchmarks/page.py

Real time, so the machine's other work counts; the best of three solves is kept per corner.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np

from cellsim.app import assemble

REPORT = """
setTimeout(() => {
  const timed = Selftest.timed(Selftest.corners());
  const dragged = Selftest.dragged(40);
  const paint = performance.getEntriesByType("paint").map((entry) => [entry.name, entry.startTime]);
  console.log("REPORT" + JSON.stringify({ timed, dragged, paint }) + "END");
}, 1500);
"""


def measure(browser: str, patience: float = 120.0) -> dict[str, list[float]]:
    """What the page reports: milliseconds per corner, and when it was first painted.

    Parameters
    ----------
    browser : str
        Path of a Chromium.
    patience : float
        How long to wait [s].

    Returns
    -------
    dict
    """
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        page, log = Path(folder) / "page.html", Path(folder) / "log"
        page.write_text(assemble().replace("</script>", REPORT + "</script>"), encoding="utf-8")
        command = [
            browser,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--enable-logging=stderr",
            f"--user-data-dir={folder}/profile",
            "--remote-debugging-port=0",
            page.as_uri(),
        ]
        with log.open("w") as stream:
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=stream)
            try:
                end = time.monotonic() + patience
                while time.monotonic() < end:
                    text = log.read_text(errors="replace")
                    if "REPORT" in text and "}END" in text:
                        found = text.split("REPORT", 1)[1].split("END", 1)[0]
                        return dict(json.loads(found.replace('\\"', '"')))
                    time.sleep(0.2)
            finally:
                process.terminate()
                process.wait()
    raise SystemExit("the page did not report in time")


def main() -> None:
    """Print the figures of docs/page.md."""
    browser = next((b for b in map(shutil.which, ("chromium", "chromium-browser", "google-chrome")) if b), None)
    if browser is None:
        raise SystemExit("no Chromium on this machine")
    report = measure(browser)
    timed = np.sort(report["timed"])
    print(
        f"{timed.size} corners: median {np.median(timed):.1f} ms, 95 % below {timed[int(0.95 * timed.size)]:.1f} ms, "
        f"slowest {timed[-1]:.1f} ms"
    )
    frames = np.sort(report["dragged"])
    print(
        f"{frames.size} frames of drags: median {np.median(frames):.1f} ms, 95 % below "
        f"{frames[int(0.95 * frames.size)]:.1f} ms, slowest {frames[-1]:.1f} ms"
    )
    for name, start in report["paint"]:
        print(f"{name}: {start:.0f} ms")


if __name__ == "__main__":
    main()
