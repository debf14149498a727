"""The notebooks run anywhere, keep what they claim, and stand the ends of their sliders."""

import importlib.util
import json
import re
import subprocess
import sys
from itertools import product
from pathlib import Path

import pytest

if importlib.util.find_spec("marimo") is None:
    pytest.skip("notebooks are an extra: pip install 'cellsim[notebooks]'", allow_module_level=True)
FOLDER = Path(__file__).parents[2] / "docs" / "notebooks"
RUNNER = Path(__file__).with_name("notebook_runner.py")
NOTEBOOKS = sorted(path.stem for path in FOLDER.glob("*.py"))
QUICK = ("why_current_decays",)


def run(notebook, folder, **values):
    """(checks, shown texts) of a notebook, by name or path, run in `folder` with its widgets at `values`."""
    path = notebook if isinstance(notebook, Path) else FOLDER / f"{notebook}.py"
    command = [sys.executable, str(RUNNER), str(path), json.dumps(values)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    if done.returncode:
        raise AssertionError(done.stderr[-3000:])
    told = json.loads(done.stdout.splitlines()[-1])
    return told["checks"], told["texts"]


def test_there_are_six():
    assert len(NOTEBOOKS) == 6


@pytest.mark.parametrize("name", [pytest.param(n, marks=[] if n in QUICK else [pytest.mark.slow]) for n in NOTEBOOKS])
def test_a_notebook_runs_and_its_claims_hold(name, tmp_path):
    checks, texts = run(name, tmp_path)
    assert checks and all(checks.values())
    assert any("Checked in this run" in text for text in texts)


def test_marimo_finds_nothing_to_warn_of():
    command = [sys.executable, "-m", "marimo", "check", "--strict", *(str(FOLDER / f"{name}.py") for name in NOTEBOOKS)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_no_line_of_a_formula_begins_a_list(name):
    """marimo takes a line that begins with + for a list, and shows the formula as raw TeX."""
    for formula in re.findall(r"\$\$(.*?)\$\$", (FOLDER / f"{name}.py").read_text(encoding="utf-8"), re.DOTALL):
        assert not re.search(r"^\s*([-+*>#]|\d+\.)\s", formula, re.MULTILINE), formula


@pytest.mark.slow
def test_a_claim_that_is_wrong_stops_the_notebook(tmp_path):
    text = (FOLDER / "three_transference_numbers.py").read_text()
    broken = text.replace("fang_rho = 0.7", "fang_rho = 0.6")
    assert broken != text
    (tmp_path / "broken.py").write_text(broken)
    with pytest.raises(AssertionError, match=r"its rho\+ = 0.6"):
        run(tmp_path / "broken.py", tmp_path)


ENDS = {
    "why_current_decays": [
        {"voltage": V, "t_plus": t, "D": 0.5, "kappa": 0.4, "chi": 3.0, "thickness": L, "resistance": R}
        for V, t, L, R in product((1, 300), (-1.0, 1.0), (0.1,), (0, 100))
    ],
    "three_transference_numbers": [
        {"ratio": a, "correlation": r, "valence": z, "diffusion_ratio": 0.2, "x": x}
        for (a, r, z, x) in ((0.2, -0.9, -1, -0.9), (5.0, 0.95, -20, 5.0))
    ],
    "frames_of_reference": [
        {"which": "pnb", "minute": 5, "cations": True, "t_solvent": -0.5, "salt_share": 0.0},
        {"which": "rs_volume", "minute": 969, "cations": True, "t_solvent": 0.9, "salt_share": 0.5},
    ],
    "what_xam_and_xpcs_see": [
        {"photons": 3.0, "beam_mm": 1.0, "scan_minute": 960, "place": -0.85e-3, "series_minute": 900, "moving": 0.95}
        | {"relaxation": 5, "noise": 30},
    ],
}


@pytest.mark.slow  # 30 s of processor time
@pytest.mark.parametrize(("name", "values"), [(name, values) for name, several in ENDS.items() for values in several])
def test_a_notebook_stands_the_ends_of_its_sliders(name, values, tmp_path):
    checks, _ = run(name, tmp_path, **values)
    assert checks and all(checks.values())


@pytest.mark.parametrize(
    ("case", "data", "sentence"),
    [
        ("cases/nowhere.toml", "", "nowhere.toml: no such file"),
        pytest.param("cases/fit_example/cell.toml", "", "give the path of a data file.", marks=pytest.mark.slow),
    ],
)
def test_your_own_data_answers_a_wrong_path_in_one_sentence(case, data, sentence, tmp_path):
    _, texts = run("your_own_data", tmp_path, case_path=case, data_path=data)
    shown = [text for text in texts if "marimo-callout" in text]
    assert len(shown) == 1 and sentence in shown[0]
    assert "Traceback" not in shown[0]


@pytest.mark.slow
def test_a_notebook_is_a_script(tmp_path):
    """One of them: the build of the site runs each in an interpreter of its own."""
    command = [sys.executable, "-W", "error", str(FOLDER / "why_current_decays.py")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.slow
def test_a_notebook_becomes_a_page(tmp_path):
    page = tmp_path / "page.html"
    command = [sys.executable, "-m", "marimo", "export", "html", str(FOLDER / "why_current_decays.py"), "-o", str(page)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    text = page.read_text()
    assert text.count("data:image/png;base64") >= 2 and "Checked in this run" in text
    assert "marimo-error" not in text
