"""Set up and go: the two commands of the README.

    python3 start.py run cases/steinruck2020/rs.toml   sets up .venv, then runs the case
    python3 start.py test                              sets up .venv, then runs the fast tests

Any other arguments go to the cellsim command: ``python3 start.py plan cases/dilute_ideal.toml``. What a command of
cellsim needs is installed before it (requirements-core.lock), everything else after it (requirements.lock); both are
brought up to date when these files change. CELLSIM_VENV names another place for the environment.
"""

import hashlib
import os
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent
# uv pip compile --universal --generate-hashes --no-emit-index-url --no-header --extra build -c requirements.lock \
#     pyproject.toml -o requirements-core.lock; requirements.lock is made alike, with --all-extras and without -c
CORE, EVERYTHING = ROOT / "requirements-core.lock", ROOT / "requirements.lock"


def main(arguments: list[str]) -> int:
    if sys.version_info < (3, 11):  # noqa: UP036 - the reader may have an older python3
        print(f"cellsim needs Python 3.11 or newer; this is {sys.version.split()[0]}", file=sys.stderr)
        return 2
    if not arguments:
        print(__doc__)
        return 2
    place = Path(os.environ.get("CELLSIM_VENV", ROOT / ".venv"))
    scripts = place / ("Scripts" if os.name == "nt" else "bin")
    if arguments[0] == "test":
        set_up(place, scripts, EVERYTHING)
        pytest = [scripts / "python", "-m", "pytest", "-m", "not slow", "-n", "auto", "-q"]
        if arguments[1:]:
            return run([*pytest, *arguments[1:]], ROOT)
        tests = run([*pytest, "--ignore=tests/docs"], ROOT)
        pages = run([*pytest, "tests/docs"], ROOT)  # what readers would type runs in processes of its own
        return tests or pages
    if not is_set_up(place, EVERYTHING):
        set_up(place, scripts, CORE)
    code = run([scripts / "cellsim", *arguments], None)
    set_up(place, scripts, EVERYTHING)
    return code


def run(command: list[str | Path], where: Path | None) -> int:
    """Run a command and pass on how it ended."""
    return subprocess.run([str(part) for part in command], cwd=where).returncode


def set_up(place: Path, scripts: Path, lock: Path) -> None:
    """Create the environment and install what a lock file lists, unless that was done and the file is the same."""
    if is_set_up(place, lock):
        return
    what = "what cellsim needs to run" if lock == CORE else "what trajectories, simulations, lectures and tests need"
    print(f"cellsim: installing {what} in {place} (once, about half a minute)", file=sys.stderr, flush=True)
    if not any(stamp(place, other).is_file() for other in (CORE, EVERYTHING)):
        venv.create(place, with_pip=True)
    pip = [str(scripts / "python"), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    subprocess.run([*pip, "--require-hashes", "--requirement", str(lock)], check=True)
    subprocess.run([*pip, "--no-deps", "--no-build-isolation", "--editable", str(ROOT)], check=True)
    stamp(place, lock).write_text(digest(lock))


def is_set_up(place: Path, lock: Path) -> bool:
    """Whether the environment holds what a lock file lists."""
    return stamp(place, lock).is_file() and stamp(place, lock).read_text() == digest(lock)


def stamp(place: Path, lock: Path) -> Path:
    """The file that says which state of a lock file is installed."""
    return place / f"cellsim-{lock.stem}.stamp"


def digest(lock: Path) -> str:
    """Of a lock file and of the project's own metadata."""
    return hashlib.sha256(lock.read_bytes() + (ROOT / "pyproject.toml").read_bytes()).hexdigest()


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except subprocess.CalledProcessError as error:
        sys.exit(f"set-up failed with exit code {error.returncode}; correct the cause above and run the command again")
    except KeyboardInterrupt:
        sys.exit(130)
