"""The assembled page in a real, headless browser."""

import html
import json
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from cellsim.app import write_page

BROWSER = next((b for b in map(shutil.which, ("chromium", "chromium-browser", "google-chrome")) if b), None)


def chromium(fragment, *options, width=1400, height=3000, script=""):
    """(document after all scripts, what the browser logged) of the page opened from a file; `script` runs last."""
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "page.html"
        write_page(page)
        if script:
            page.write_text(page.read_text("utf-8").replace("</script>", f"{script};</script>"), "utf-8")
        command = [
            BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--enable-logging=stderr",
            f"--user-data-dir={folder}/profile", f"--window-size={width},{height}", *options,
            "--virtual-time-budget=600000", "--dump-dom", f"{page.as_uri()}#{fragment}",
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    return done.stdout, done.stderr


def selftest(fragment, **window):
    """What the page reports of itself when its address ends in `fragment`."""
    document, log = chromium(fragment, **window)
    found = re.search(r'<pre id="selftest">(.*?)</pre>', document, re.DOTALL)
    assert found, f"no report in the document; the browser said: {log[-2000:]}"
    report = json.loads(html.unescape(found[1]))
    report["console"] = [line for line in log.splitlines() if "CONSOLE" in line]
    return report
