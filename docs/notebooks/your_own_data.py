# /// script
# requires-python = ">=3.11"
# dependencies = ["cellsim", "marimo"]
# ///

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="6 Your own data")


@app.cell
def _():
    from dataclasses import dataclass
    from pathlib import Path
    from tempfile import TemporaryDirectory

    import marimo as mo
    import numpy as np

    from cellsim import load_case, simulate
    from cellsim.base import CellsimError
    from cellsim.compare.comparison import Comparison, compare
    from cellsim.compare.figures import write_comparison_figures
    from cellsim.instruments.data import read_measurements
    from cellsim.instruments.records import not_imposed

    root = Path(mo.notebook_dir()).parents[1]
    return (
        CellsimError,
        Comparison,
        Path,
        TemporaryDirectory,
        compare,
        dataclass,
        load_case,
        mo,
        not_imposed,
        np,
        read_measurements,
        root,
        simulate,
        write_comparison_figures,
    )


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    # 6 Your own data

    A case file says what you did; data files say what you saw. This page reads both, runs the case, and puts the prediction
    beside the data. **Nothing is fitted.** It begins with a real cell that is shipped with the project, measured by
    Thienenkamp et al. (2022): the current was imposed, voltage and salt profiles (1-D MRI) were measured.

    Set aside about 45 minutes.

    1. Type the path of a case. `cellsim new my_cell.toml` writes one to edit, with every key explained.
    2. Type the path of a data file, or leave it empty: then the data that the case itself names are taken.

    | file | columns |
    | --- | --- |
    | potentiostat, `.mpt`, `.DTA`, CSV | `time (s)`, `U (V)`, `I (mA)` or `j (mA/cm^2)` |
    | profiles, CSV | `time (min),position (mm),c (mol/L),error (mol/L)` |
    | velocities, CSV | `time (min),position (mm),v_0 (angstrom/s),error (angstrom/s)` |
    | data sheet, `.toml` | XAM counts, raw MRI, and all data that need further information (`docs/compare.md`) |

    Relative paths count from the folder of the project. Try `cases/fit_example/cell.toml` with
    `cases/fit_example/profiles.csv` (synthetic), then a path that does not exist.
    """)
    return


@app.cell
def _(CellsimError, Comparison, Path, compare, dataclass, load_case, not_imposed, read_measurements, root, simulate):
    @dataclass(frozen=True)
    class Answer:
        """A comparison, or one sentence that says why there is none."""

        found: Comparison | None
        sentence: str = ""

    def look(case_path: str, data_path: str = "") -> Answer:
        """Read a case and data, run the case, compare."""
        try:
            case = load_case(root / Path(case_path.strip()))
            data = read_measurements(root / Path(data_path.strip()), case.setup) if data_path.strip() else None
            solution = simulate(case.cell, case.transport, case.protocol, c0=case.c0, solver="sundials")
            data = (*case.measured, *not_imposed(case.protocol, solution)) if data is None else data
            if not data:
                return Answer(None, f"{case.path.name} names no data; give the path of a data file.")
            return Answer(compare(case, solution, data))
        except CellsimError as error:
            return Answer(None, str(error))

    return (look,)


@app.cell(hide_code=True)
def _(mo):
    case_path = mo.ui.text(value="cases/thienenkamp2022/polarisation.toml", label="case", full_width=True)
    data_path = mo.ui.text(value="", label="data (empty: what the case names)", full_width=True)
    mo.vstack([case_path, data_path])
    return case_path, data_path


@app.cell(hide_code=True)
def _(TemporaryDirectory, case_path, data_path, look, mo, write_comparison_figures):
    def _shown(answer):
        if answer.found is None:
            return mo.callout(mo.md(answer.sentence), kind="danger")
        units = {"current": "A/m²", "voltage": "V", "profile": "mol/m³", "velocity": "m/s"}
        rows = "\n".join(
            f"| {item.measurement.label} | {item.measurement.kind} | {item.count} | {item.bias:.3g} {units[item.measurement.kind]} | "
            f"{item.rms:.3g} {units[item.measurement.kind]} | {'no errors given' if item.chi2 is None else f'{item.chi2:.2f}'} |"
            for item in answer.found.items
        )
        with TemporaryDirectory() as folder:
            images = [
                mo.image(path.read_bytes(), width=480) for path in write_comparison_figures([answer.found], folder)
            ]
        table = "| data | kind | points | mean of measured − predicted | root mean square | χ² per point |\n| --- | --- | --- | --- | --- | --- |\n"
        return mo.vstack(
            [mo.md(f"**{answer.found.case.title}**, run: {answer.found.solution.status}\n\n" + table + rows), *images]
        )

    mo.vstack([_shown(look(case_path.value, data_path.value))])
    return


@app.cell(hide_code=True)
def _(look, np):
    # the shipped cell, whatever the boxes say
    shipped = look("cases/thienenkamp2022/polarisation.toml")
    made_up = look("cases/fit_example/cell.toml", "cases/fit_example/profiles.csv")
    wrong = {
        "no such case": look("cases/thienenkamp2022/polarization.toml"),
        "no such data": look("cases/fit_example/cell.toml", "my_profiles.csv"),
        "not data": look("cases/fit_example/cell.toml", "README.md"),
        "a folder": look("cases"),
    }
    voltage = next(item for item in shipped.found.items if item.measurement.kind == "voltage")
    profile = next(item for item in shipped.found.items if item.measurement.kind == "profile")
    share = float(np.nanmean(voltage.predicted[-100:]) / np.nanmean(voltage.measured[-100:]))
    return made_up, profile, share, shipped, voltage, wrong


@app.cell(hide_code=True)
def _(made_up, mo, profile, root, share, wrong):
    sentences = "\n    ".join(f"- {answer.sentence.replace(str(root) + '/', '')}" for answer in wrong.values())
    mo.md(rf"""
    ## What the shipped cell teaches

    - *Profiles.* χ² per point is {profile.chi2:.2f} with the stated error: the prediction is close to the noise, not within it. Its mean
      offset, {profile.bias:.0f} mol/m³, is under one per cent of the salt. Transport set and electrode area are
      *assumed* in this case: the agreement shows that the size is right, but not why.
    - *Voltage.* At the end of the run the electrolyte accounts for {100 * share:.1f} % of the measured voltage. The rest is lost at the
      interfaces, which the case leaves out. Had we *fitted* κ to the voltage, we would have found a wrong conductivity and a fine
      agreement.
    - *The synthetic profiles* of `fit_example`, with the set the case starts from (here it is the true one): χ² per point
      {made_up.found.items[0].chi2:.2f}, where errors that are right give 1 ± {(2 / made_up.found.items[0].count) ** 0.5:.2f}. Their positions are fixed in the laboratory,
      where a camera is at rest, while the interfaces move (notebook 3): even synthetic data have a frame.

    ## When a file is wrong

    You get one sentence, in the box above and on the command line:

    {sentences}

    ## What to do next

    1. **The voltage is far above the prediction, but the profiles agree.** The reason is the interfaces. Put their resistance into `[electrodes]`, as a
       number or a table in time, from impedance; do not fit κ.
    2. **The voltage agrees at $t = 0$ and deviates later.** The reason is the concentration part. Compare the profiles before anything else.
    3. **Profiles have the right shape and the wrong size.** Under an imposed current their size is $(1 - t_+^0)\varphi_0$ over the
       electrode *area*. Which of the two do you know?
    4. **Profiles are not symmetric, but the prediction is.** Check the position origin, a tilt of the cell, and convection in a liquid.
    5. **χ² per point far below 1.** Your errors are too large, or neighbouring points are not independent.
    6. **Now fit**: `cellsim fit` (`docs/fit.md`, notebook 5), and believe the profile likelihoods, not the best values.
    7. **Before the next beam time**: `cellsim design` says which voltage, thickness and duration tell most per hour.

    On the command line the same comparison is `cellsim compare CASE DATA -o runs/compare`.
    """)
    return


@app.cell(hide_code=True)
def _(mo):
    mo.accordion(
        {
            "Exercise 1. Copy the shipped case, halve the electrode area, and run it here. What changes?": mo.md(
                r"""The imposed current is a total current: the density doubles, and so does every change of concentration. The agreement with the
                profiles is lost, although nothing about the electrolyte changed."""
            ),
            "Exercise 2. Misspell a key or a unit in your copy. What do you get?": mo.md(
                r"""One sentence with the file, the key, and what is allowed; often with the word you meant."""
            ),
            "Exercise 3. How would you show that the missing voltage belongs to the interfaces, without opening the cell?": mo.md(
                r"""Interrupt the current: the ohmic part of electrolyte and interfaces vanishes at once, the concentration part relaxes with
                $L^2/(\pi^2 D)$. The part of the drop beyond $iL/\kappa$ belongs to the interfaces. A second thickness shows it, too."""
            ),
        }
    )
    return


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    ## What to remember

    1. Predict first. A comparison without a free parameter is worth more than a fit with five.
    2. A voltage contains the interfaces. A profile does not.
    3. An area, a position origin and a time offset are parameters, too.
    """)
    return


@app.cell(hide_code=True)
def _(made_up, mo, profile, share, shipped, voltage, wrong):
    checks = {
        f"the shipped case ran: {shipped.found.solution.status}": shipped.found.solution.status == "done",
        f"{profile.count} points of MRI: chi2 per point {profile.chi2:.2f}": 0.5 < profile.chi2 < 2,
        f"{voltage.count} voltages: the electrolyte's share at the end is {100 * share:.1f} %": 0 < share < 0.2,
        f"synthetic profiles: chi2 per point {made_up.found.items[0].chi2:.3f}": abs(made_up.found.items[0].chi2 - 1)
        < 0.2,
        "every wrong file gives one sentence": all(
            a.found is None and a.sentence and "\n" not in a.sentence for a in wrong.values()
        ),
    }
    assert all(checks.values()), [claim for claim, holds in checks.items() if not holds]
    mo.md("**Checked in this run**\n\n" + "\n".join(f"- {claim}" for claim in checks))
    return


if __name__ == "__main__":
    app.run()
