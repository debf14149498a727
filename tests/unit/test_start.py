"""start.py: what is installed when, and that its two lock files agree."""

import re

import pytest

from tests.toys.scripts import loaded


@pytest.fixture
def start(tmp_path, monkeypatch):
    """The script, with an environment that exists in name only, and the commands it would have run."""
    script = loaded("start.py")
    calls = []

    def record(command, **settings):
        words = [str(word) for word in command]
        calls.append("install " + words[-1] if "pip" in words else " ".join(words[1:]))
        return type("Ended", (), {"returncode": 3})()

    monkeypatch.setenv("CELLSIM_VENV", str(tmp_path))
    monkeypatch.setattr(script.venv, "create", lambda place, with_pip: calls.append("create"))
    monkeypatch.setattr(script.subprocess, "run", record)
    return script, calls


def test_a_case_runs_before_the_rest_is_installed(start):
    script, calls = start
    core, everything, root = (f"install {path}" for path in (script.CORE, script.EVERYTHING, script.ROOT))
    assert script.main(["run", "case.toml"]) == 3  # the exit code is that of the command
    assert calls == ["create", core, root, "run case.toml", everything, root]
    calls.clear()
    assert script.main(["plan", "case.toml"]) == 3
    assert calls == ["plan case.toml"]


def test_tests_need_everything_at_once(start):
    script, calls = start
    script.main(["test", "tests/unit/base"])
    assert calls[:2] == ["create", f"install {script.EVERYTHING}"] and "pytest" in calls[-1]
    calls.clear()
    script.main(["check", "case.toml"])
    assert calls == ["check case.toml"]


def test_the_core_is_a_part_of_everything():
    script = loaded("start.py")
    core, everything = (
        dict(re.findall(r"^([a-z0-9-]+==\S+)((?: ; [^\\\n]+)?)", path.read_text(), re.M))
        for path in (script.CORE, script.EVERYTHING)
    )
    assert {"numpy", "scipy", "fipy", "numba"} <= {line.split("==")[0] for line in core}
    assert set(core) <= set(everything)
