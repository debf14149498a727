"""The notebooks run anywhere, keep what they claim, and stand the ends of their sliders."""

import importlib.util
import subprocess
import sys
from itertools import product
from pathlib import Path
from types import SimpleNamespace

import pytest

pytest.importorskip("marimo", reason="notebooks are an extra: pip install 'cellsim[notebooks]'")
FOLDER = Path(__file__).parents[2] / "docs" / "notebooks"
NOTEBOOKS = sorted(path.stem for path in FOLDER.glob("*.py"))
QUICK = [name for name in NOTEBOOKS if name != "what_a_fit_can_know"]


def app(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.app


def run(name, **values):
    """Run a notebook in this process, its widgets at `values` in place of where they start."""
    return app(FOLDER / f"{name}.py").run(defs={key: SimpleNamespace(value=value) for key, value in values.items()})


def test_there_are_six():
    assert len(NOTEBOOKS) == 6


@pytest.mark.parametrize("name", QUICK)
def test_a_notebook_runs_and_its_claims_hold(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    outputs, found = run(name)
    assert found["checks"] and all(found["checks"].values())
    assert any("Checked in this run" in getattr(output, "text", "") for output in outputs)


@pytest.mark.slow  # two fits, 13 s of processor time
def test_the_notebook_on_fits_runs_and_its_claims_hold(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    _, found = run("what_a_fit_can_know")
    assert found["checks"] and all(found["checks"].values())


def test_marimo_finds_nothing_to_warn_of():
    command = [sys.executable, "-m", "marimo", "check", "--strict", *(str(FOLDER / f"{name}.py") for name in NOTEBOOKS)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_claim_that_is_wrong_stops_the_notebook(tmp_path):
    text = (FOLDER / "three_transference_numbers.py").read_text()
    broken = text.replace("fang_rho = 0.7", "fang_rho = 0.6")
    assert broken != text
    (tmp_path / "broken.py").write_text(broken)
    with pytest.raises(AssertionError, match=r"its rho\+ = 0.6"):
        app(tmp_path / "broken.py").run()


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
def test_a_notebook_stands_the_ends_of_its_sliders(name, values):
    _, found = run(name, **values)
    assert all(found["checks"].values())


def test_your_own_data_answers_a_wrong_path_in_one_sentence():
    outputs, found = run("your_own_data", case_path="cases/nowhere.toml", data_path="")
    shown = [output.text for output in outputs if "marimo-callout" in getattr(output, "text", "")]
    assert len(shown) == 1 and "nowhere.toml: no such file" in shown[0]
    assert found["look"]("cases/fit_example/cell.toml", "").sentence.endswith("give the path of a data file.")
    assert "Traceback" not in shown[0]


@pytest.mark.slow  # each its own interpreter, 40 s of processor time
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_is_a_script(name, tmp_path):
    done = subprocess.run(
        [sys.executable, "-W", "error", str(FOLDER / f"{name}.py")],
        cwd=tmp_path, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
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
