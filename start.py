"""Set up and go: the two commands of the README.

    python3 start.py run cases/steinruck2020/rs.toml   creates .venv with the locked dependencies, then runs the case
    python3 start.py test                              the same set-up, then the fast tests

Any other arguments go to the cellsim command: ``python3 start.py plan cases/dilute_ideal.toml``. The environment is
made once and brought up to date when the lock file changes; CELLSIM_VENV names another place for it.
"""

import hashlib
import os
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent
LOCK = ROOT / "requirements.lock"


def main(arguments: list[str]) -> int:
    if sys.version_info < (3, 11):  # noqa: UP036 - the reader may have an older python3
        print(f"cellsim needs Python 3.11 or newer; this is {sys.version.split()[0]}", file=sys.stderr)
        return 2
    if not arguments:
        print(__doc__)
        return 2
    place = Path(os.environ.get("CELLSIM_VENV", ROOT / ".venv"))
    scripts = place / ("Scripts" if os.name == "nt" else "bin")
    set_up(place, scripts)
    if arguments[0] == "test":
        pytest = [scripts / "python", "-m", "pytest", "-m", "not slow", "-n", "auto", "-q"]
        if arguments[1:]:
            return run([*pytest, *arguments[1:]], ROOT)
        tests = run([*pytest, "--ignore=tests/docs"], ROOT)
        pages = run([*pytest, "tests/docs"], ROOT)  # what readers would type runs in processes of its own
        return tests or pages
    return run([scripts / "cellsim", *arguments], None)


def run(command: list[str | Path], where: Path | None) -> int:
    """Run a command and pass on how it ended."""
    return subprocess.run([str(part) for part in command], cwd=where).returncode


def set_up(place: Path, scripts: Path) -> None:
    """Create the environment from the lock file, unless it is there and the lock is the same."""
    stamp = place / "cellsim.stamp"
    digest = hashlib.sha256(LOCK.read_bytes() + (ROOT / "pyproject.toml").read_bytes()).hexdigest()
    if stamp.is_file() and stamp.read_text() == digest:
        return
    print(f"cellsim: setting up {place} (once, about a minute)", file=sys.stderr, flush=True)
    venv.create(place, with_pip=True, clear=False)
    pip = [str(scripts / "python"), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    subprocess.run([*pip, "--require-hashes", "--requirement", str(LOCK)], check=True)
    subprocess.run([*pip, "--no-deps", "--no-build-isolation", "--editable", str(ROOT)], check=True)
    stamp.write_text(digest)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except subprocess.CalledProcessError as error:
        sys.exit(f"set-up failed with exit code {error.returncode}; correct the cause above and run the command again")
    except KeyboardInterrupt:
        sys.exit(130)
