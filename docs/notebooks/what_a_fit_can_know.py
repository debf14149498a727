# /// script
# requires-python = ">=3.11"
# dependencies = ["cellsim", "marimo"]
# ///

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="5 What a fit can and cannot know")


@app.cell
def _():
    from pathlib import Path

    import marimo as mo
    import numpy as np

    from cellsim import Cell, Protocol, TransportSet, hold_voltage, simulate
    from cellsim.drawing import figstyle
    from cellsim.fit.descent import inverse
    from cellsim.fit.estimate import describe, directions, estimate
    from cellsim.fit.likelihood_profile import delta_at
    from cellsim.fit.recipe import read_recipe

    cases = Path(mo.notebook_dir()).parents[1] / "cases"
    return (
        Cell,
        Protocol,
        TransportSet,
        cases,
        delta_at,
        describe,
        directions,
        estimate,
        figstyle,
        hold_voltage,
        inverse,
        mo,
        np,
        read_recipe,
        simulate,
    )


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    # 5 What a fit can and cannot know

    A fit always returns numbers. Whether the data *determine* those numbers is another question, and it can be answered before
    any data are taken. This page answers it for the most common experiment, a voltage step, and of the same step with salt
    profiles.

    You need notebook 1. Set aside one hour. **All data on this page are synthetic**, drawn from a known set, so that
    we may look up the truth.

    ## The current alone

    For a small voltage the decay of notebook 1 depends on the electrolyte through three numbers only: $\kappa$, $D$ and

    $$ \mathrm{Ne} = \frac{\nu}{(z_+\nu_+)^2}\frac{\kappa R T}{F^2 D c}\; (1 - t_+^0)^2\,\chi. $$

    $t_+^0$ and χ occur in one product. Move $t_+^0$ and let χ follow so that $(1 - t_+^0)^2\chi$ stays as it is.
    """)
    return


@app.cell
def _(Cell, Protocol, TransportSet, hold_voltage, simulate):
    T, C, L = 363.15, 1000.0, 5e-4

    def twin(t_plus, voltage):
        """A cell whose (1 - t+)^2 chi is that of t+ = 0.2, chi = 1.5."""
        chi = 1.5 * (0.8 / (1 - t_plus)) ** 2
        transport = TransportSet.constant(kappa=0.1, D=2e-11, t_plus=t_plus, chi=chi, T=T)
        hold = Protocol((hold_voltage(voltage, L**2 / 2e-11),))
        return transport, simulate(Cell(L, T), transport, hold, c0=C, solver="sundials")

    return C, twin


@app.cell(hide_code=True)
def _(mo):
    t_twin = mo.ui.slider(-1.0, 0.9, value=-0.6, step=0.05, label="$t_+^0$ of the twin", show_value=True)
    mv_twin = mo.ui.slider(2, 60, value=10, step=2, label="voltage (mV)", show_value=True)
    mo.hstack([t_twin, mv_twin], justify="start")
    return mv_twin, t_twin


@app.cell(hide_code=True)
def _(figstyle, mo, mv_twin, np, t_twin, twin):
    _, _one = twin(0.2, 1e-3 * mv_twin.value)
    _, _two = twin(t_twin.value, 1e-3 * mv_twin.value)
    with figstyle.panels(1, 2, width=figstyle.TWO_COLUMNS, height=2.4) as (_figure, _axes):
        for _s, _text, _dash in zip(
            (_one, _two), ("$t_+^0$ = 0.20", f"$t_+^0$ = {t_twin.value:.2f}"), figstyle.DASHES, strict=False
        ):
            _axes[0].plot(_s["time"] / 60, _s["i"], linestyle=_dash, label=_text)
            _axes[1].plot(1e3 * _s["face"], _s["c_face"][-1] / 1e3, linestyle=_dash, label=_text)
        _axes[0].set(xlabel="time $t$ (min)", ylabel="current density $i$ (A/m²)", ylim=(0, None), xlim=(0, None))
        _axes[1].set(xlabel="from positive electrode, $x$ (mm)", ylabel="salt $c$ at the end (mol/L)")
        for _panel in _axes:
            _panel.legend()
    _i = np.interp(_one["time"], _two["time"], _two["i"])
    mo.vstack(
        [_figure, mo.md(f"Largest difference of the currents: {100 * np.max(np.abs(_i / _one['i'] - 1)):.2g} %.")]
    )
    return


@app.cell(hide_code=True)
def _(C, mo, np, twin):
    _sets = {t: twin(t, 2e-3) for t in (0.2, -0.6)}
    twin_gap = float(
        np.max(
            np.abs(
                np.interp(_sets[0.2][1]["time"], _sets[-0.6][1]["time"], _sets[-0.6][1]["i"]) / _sets[0.2][1]["i"] - 1
            )
        )
    )
    twin_swing = float(np.ptp(_sets[-0.6][1]["c_face"][-1]) / np.ptp(_sets[0.2][1]["c_face"][-1]))
    twin_Ne = [float(transport.newman_number(C)) for transport, _ in _sets.values()]
    mo.md(rf"""
    At 2 mV the currents of $t_+^0 = 0.2$ and $t_+^0 = -0.6$ differ by at most {twin_gap:.0e} of themselves, at all times. The profiles
    differ by the factor {twin_swing:.2f}, the ratio of $1 - t_+^0$. No potentiostat can distinguish these electrolytes; an image of the salt can.
    At larger voltages the currents differ slightly; whether that helps depends on the errors.

    ## Information

    Let the data have errors, and let $J$ be how much each point moves, in units of its error, per unit of each parameter.
    Near the truth

    $$ \chi^2 \approx \chi^2_\mathrm{{min}} + \delta p^\mathsf{{T}} (J^\mathsf{{T}} J)\, \delta p . $$

    The inverse of $J^\mathsf{{T}} J$ is the smallest possible covariance of an unbiased fit (Cramér and Rao). It needs no data, only the model and the
    errors. Below: a 3 mm cell at 0.3 V for 11 h, 46 currents and 15 profiles of 40 points (`cases/fit_example`). Parameters: κ and χ
    each by a factor, $D$ and its slope with concentration, $t_+^0$, the interfaces.
    """)
    return twin_Ne, twin_gap, twin_swing


@app.cell
def _(cases, np, read_recipe):
    both = read_recipe(cases / "fit_example" / "fit.toml").problem
    current_only = read_recipe(cases / "fit_example" / "current_only.toml").problem
    jacobian = both.jacobian(both.space.start)
    sizes = [o.size for o in both.observations]  # current, profiles; the last row is the prior on R_int
    rows_current, rows_profiles = slice(0, sizes[0]), slice(sizes[0], sum(sizes))
    assert [o.kind for o in both.observations] == ["current", "profile"], [o.kind for o in both.observations]

    def information(current_error, profile_error, prior_error):
        """Fisher information of (current, profiles, both), the prior on R_int in each; errors relative to 1 %, 2 %, 10 %."""
        of_current = jacobian[rows_current] / (current_error / 1.0)
        of_profiles = jacobian[rows_profiles] / (profile_error / 2.0)
        prior = jacobian[sum(sizes) :] / (prior_error / 10.0)
        return {
            "current": both.information(np.vstack([of_current, prior])),
            "profiles": both.information(np.vstack([of_profiles, prior])),
            "both": both.information(np.vstack([of_current, of_profiles, prior])),
        }

    return both, current_only, information


@app.cell(hide_code=True)
def _(mo):
    current_error = mo.ui.slider(0.05, 5.0, value=1.0, step=0.05, label="error of the current (%)", show_value=True)
    profile_error = mo.ui.slider(
        0.2, 20.0, value=2.0, step=0.2, label="error of a profile's point (%)", show_value=True
    )
    prior_error = mo.ui.slider(
        1, 100, value=10, step=1, label="how well the interfaces are known beforehand (%)", show_value=True
    )
    mo.vstack([current_error, profile_error, prior_error])
    return current_error, prior_error, profile_error


@app.cell(hide_code=True)
def _(both, current_error, directions, figstyle, information, inverse, mo, np, prior_error, profile_error):
    _found = information(current_error.value, profile_error.value, prior_error.value)
    with figstyle.panels(width=figstyle.TWO_COLUMNS, height=2.5) as (_figure, _axes):
        for _k, ((_name, _F), _marker) in enumerate(zip(_found.items(), figstyle.MARKERS, strict=False)):
            _sd = np.sqrt(np.diag(inverse(_F)))
            _axes[0].plot(np.arange(_sd.size) + 0.12 * (_k - 1), _sd, _marker, label=_name)
        _axes[0].set(yscale="log", ylim=(1e-3, 1e2), ylabel="standard error\n(relative; absolute for $t_+^0$, $D$.a1)")
        _axes[0].set_xticks(np.arange(both.space.size), both.space.names)
        figstyle.reference(_axes[0], 0.7, "above: not identified", above=True)
        _axes[0].legend(loc="lower left", ncols=3)
    _weak = {name: [d.text for d in directions(F, both.space) if d.sd > 0.05] for name, F in _found.items()}
    _say = "\n".join(
        f"- **{name}**: " + ("; ".join(texts) if texts else "every direction is determined to 5 % or better")
        for name, texts in _weak.items()
    )
    mo.vstack([_figure, mo.md("The directions that the data determine badly, in words:\n\n" + _say)])
    return


@app.cell(hide_code=True)
def _(both, information, inverse, mo, np):
    _k = both.space.index("t_plus")
    _default, _precise = information(1.0, 2.0, 10.0), information(0.1, 2.0, 10.0)
    sd_t = {name: float(np.sqrt(inverse(F)[_k, _k])) for name, F in _default.items()}
    sd_t_precise = float(np.sqrt(inverse(_precise["current"])[_k, _k]))
    _r, _kappa = both.space.index("R_int"), both.space.index("kappa factor")
    _C = inverse(_default["both"])
    trade = float(_C[_r, _kappa] / np.sqrt(_C[_r, _r] * _C[_kappa, _kappa]))
    mo.md(rf"""
    **Look for these.**

    - $t_+^0$ from the current alone: ± {sd_t["current"]:.1f}. This covers most of the values that have ever been measured. With profiles:
      ± {sd_t["both"]:.4f}.
    - With a potentiostat ten times better the error is ± {sd_t_precise:.2f} from the current. This is useful only if the *model* is right to 0.1 %.
    - κ and the interfaces are one resistance to this experiment (correlation {trade:.4f}). Better profiles do nothing for
      them; knowing the interfaces from impedance does.

    ## A real fit of synthetic data

    The set `steinruck2020_rs` made the data; its $t_+^0$ is 0.2. Two fits, one of the current alone, one with profiles. The search
    starts at the truth, to save time; `cellsim fit` starts at several places.
    """)
    return sd_t, sd_t_precise, trade


@app.cell
def _(both, current_only, delta_at, estimate):
    _truth = {
        "kappa factor": 1.0,
        "D": 1.4e-11,
        "D.k0": 1.4e-11,
        "D.a1": 0.0,
        "t_plus": 0.2,
        "chi factor": 1.0,
        "R_int": 0.04,
    }
    fit_current, fit_both = (
        estimate(problem, starts=1, at=problem.space.point({name: _truth[name] for name in problem.space.names}))
        for problem in (current_only, both)
    )
    rise_current = delta_at(fit_current, "t_plus", 0.1)
    rise_both = delta_at(fit_both, "t_plus", 0.22)
    return fit_both, fit_current, rise_both, rise_current


@app.cell(hide_code=True)
def _(describe, fit_both, fit_current, mo, rise_both, rise_current):
    mo.md(
        f"""
        The current alone:

        ```text
        {chr(10).join("        " + line for line in describe(fit_current)).strip()}
        ```

        Current and profiles:

        ```text
        {chr(10).join("        " + line for line in describe(fit_both)).strip()}
        ```

        The fit of the current is *perfect*: χ² = {fit_current.chi2_data:.0f} for {fit_current.problem.size} points. A good fit is no evidence for its
        numbers. The test is to fix a parameter at another value, fit everything else again, and look at the rise of χ².
        This is the **profile likelihood**; 3.84 is the 95 % limit.

        | fixed at | data | rise of χ² |
        | --- | --- | --- |
        | t₊⁰ = 0.10 | current alone | {rise_current:.2f} |
        | t₊⁰ = 0.22 | current and profiles | {rise_both:.1f} |
        """
    )
    return


@app.cell(hide_code=True)
def _(mo):
    draw = mo.ui.run_button(label="Draw both profiles (a minute)")
    mo.vstack([draw])
    return (draw,)


@app.cell(hide_code=True)
def _(delta_at, draw, figstyle, fit_both, fit_current, mo, np):
    mo.stop(not draw.value, mo.md("*The curves are drawn when you ask for them.*"))
    _wide, _narrow = np.linspace(-0.1, 0.6, 8), np.linspace(0.175, 0.215, 7)
    with figstyle.panels(width=figstyle.COLUMN, height=2.4) as (_figure, _axes):
        _axes[0].plot(_wide, [delta_at(fit_current, "t_plus", float(t)) for t in _wide], "o-", label="current")
        _axes[0].plot(
            _narrow, [delta_at(fit_both, "t_plus", float(t)) for t in _narrow], "s--", label="current and profiles"
        )
        _axes[0].set(xlabel="$t_+^0$ held at (1)", ylabel=r"rise of $\chi^2$ (1)", ylim=(-0.2, 8))
        figstyle.reference(_axes[0], 3.84, "95 %", above=True)
        _axes[0].legend()
    mo.center(_figure)
    return


@app.cell(hide_code=True)
def _(mo):
    mo.accordion(
        {
            "Exercise 1. A paper fits $i(t)$ with $D$, $t_+^0$, κ and χ and reports $t_+^0 = 0.31 \\pm 0.02$. What do you ask for?": mo.md(
                r"""What was held fixed. With χ known from a concentration cell the product $(1 - t_+^0)\chi$ is known and the current gives
                the rest. With χ *assumed* the error bar is that of an assumption."""
            ),
            "Exercise 2. Which additional measurement separates κ from the interfaces?": mo.md(
                r"""Impedance (two time scales), a second thickness ($R_b \propto L$, $R_i$ not), or a cell so thick that $R_i$ is small. Not more
                points of the same decay."""
            ),
            "Exercise 3. You may measure a profile every 20 minutes or every 5, each point twice as noisy then. Which?": mo.md(
                r"""Four times the profiles with twice the error hold the same information about anything that changes slowly. The faster
                series also records the early $\sqrt{t}$ part, which determines $D$. `cellsim design` computes such choices."""
            ),
            "Exercise 4. χ² is 900 for 646 points. May you multiply the error bars by $\\sqrt{900/646}$ and publish?": mo.md(
                r"""Only if the excess is scatter. Look at the residuals: runs of one sign mean the *model* is wrong, and then no factor makes
                the intervals right."""
            ),
        }
    )
    return


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    ## What to remember

    1. A perfect fit of the current leaves $t_+^0$ open: at small voltage $t_+^0$ and χ enter as one product, and $D$ can compensate them.
    2. Profiles determine $(1 - t_+^0)/D$, and together with the current everything except κ and the interfaces separately.
    3. Ask before measuring: $J^\mathsf{T} J$ needs no data.
    4. Report profile likelihoods and weak directions, and call "not identified" what is not identified.
    """)
    return


@app.cell(hide_code=True)
def _(
    both, fit_both, fit_current, mo, rise_both, rise_current, sd_t, sd_t_precise, trade, twin_Ne, twin_gap, twin_swing
):
    _t = fit_both.values["t_plus"]
    _error = fit_both.errors["t_plus"]
    checks = {
        f"twins: Ne {twin_Ne[0]:.6f} and {twin_Ne[1]:.6f}": abs(twin_Ne[1] / twin_Ne[0] - 1) < 1e-12,
        f"their currents at 2 mV differ by {twin_gap:.1e}, their profiles by {twin_swing:.3f}": twin_gap < 2e-2
        and abs(twin_swing / 2 - 1) < 0.02,
        f"t+0 from the current alone: +- {sd_t['current']:.2f}, no measurement": sd_t["current"] > 0.3,
        f"with profiles: +- {sd_t['both']:.4f}": sd_t["both"] < 0.02,
        f"a current ten times better: +- {sd_t_precise:.3f}": sd_t_precise < sd_t["current"] / 3,
        f"kappa and R_int: correlation {trade:.4f}": abs(trade) > 0.99,
        f"fit with profiles: t+0 = {_t:.4f} +- {_error:.4f}, truth 0.2": abs(_t - 0.2) < 3 * _error and _error < 0.02,
        f"fit of the current: chi2 {fit_current.chi2_data:.1f} for {fit_current.problem.size} points": fit_current.chi2_data
        < 1.6 * fit_current.problem.size,
        f"t+0 held at 0.1: chi2 of the current rises by {rise_current:.2f}": rise_current < 3.84,
        f"t+0 held at 0.22: chi2 with profiles rises by {rise_both:.1f}": rise_both > 3.84,
        f"{both.size} points": both.size == 646,
    }
    assert all(checks.values()), [claim for claim, holds in checks.items() if not holds]
    mo.md("**Checked in this run**\n\n" + "\n".join(f"- {claim}" for claim in checks))
    return


if __name__ == "__main__":
    app.run()
