# /// script
# requires-python = ">=3.11"
# dependencies = ["cellsim[beamline]", "marimo"]
# ///

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="4 What XAM and XPCS see")


@app.cell
def _():
    from pathlib import Path

    import marimo as mo
    import numpy as np

    from cellsim import load_case, simulate
    from cellsim.base import to_si
    from cellsim.drawing import figstyle
    from cellsim.instruments import xam
    from cellsim.instruments.attenuation import attenuation
    from cellsim.instruments.looks import at_beam, state_at
    from cellsim.instruments.velocities import MeasuredSpeeds, compare_velocities
    from cellsim.instruments.xpcs import correlation as xpcs
    from cellsim.instruments.xpcs.fit import fit_velocity

    cases = Path(mo.notebook_dir()).parents[1] / "cases"
    return (
        MeasuredSpeeds,
        at_beam,
        attenuation,
        cases,
        compare_velocities,
        figstyle,
        fit_velocity,
        load_case,
        mo,
        np,
        simulate,
        state_at,
        to_si,
        xam,
        xpcs,
    )


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    # 4 What XAM and XPCS see

    Steinrück et al. 2020 ([doi:10.1039/D0EE02193H](https://doi.org/10.1039/D0EE02193H)) put a Li | PEO-LiTFSI | Li cell into an
    X-ray beam and used it in two ways: absorption gave the salt concentration, the flicker of coherent scattering gave the velocity of the
    polymer. Neither instrument shows $c$ or $v$. One counts photons, the other correlates them. This page goes from a
    simulated cell to what the detectors report, *with noise*, and back.

    You need notebooks 1 and 3. Set aside one hour. **All data on this page are synthetic**: the cell is simulated with
    a transport set reconstructed from the paper's text, the photons are random numbers.

    ## X-ray absorption microscopy

    $$ \frac{I}{I_\mathrm{in}} = e^{-d\,\mu(c)}, \qquad \mu = a_\mathrm{e}\,c + a_0\,c_0(c) $$

    TFSI⁻ absorbs more than PEO, so a beam of known path $d$ measures the salt concentration. $I_\mathrm{in}$ behind all the windows is not known,
    but it is the same before and after:

    $$ c - c_\mathrm{before} = \frac{\ln(I_\mathrm{before}/I)}{d\;\mathrm d\mu/\mathrm d c}, \qquad
       \frac{\mathrm d\mu}{\mathrm d c} = a_\mathrm{e} - a_0 \frac{\bar V_\mathrm{e}}{\bar V_0}. $$

    The second term of the slope is the solvent that the salt displaces. With $N$ photons per point,
    $\sigma(c) = \sqrt{1/N + 1/N_\mathrm{before}}\, / \,(d\,\mathrm d\mu/\mathrm d c)$: ten times the photons, a third of the error.
    """)
    return


@app.cell
def _(attenuation, cases, load_case, np, simulate, to_si, xam):
    case = load_case(cases / "steinruck2020" / "rs.toml")
    solution = simulate(case.cell, case.transport, case.protocol, c0=case.c0, solver="sundials")
    light = attenuation(to_si("7.35 keV", "J"), salt="LiTFSI", solvent="EO")
    path_length = 1e-3

    def absorb(photons, beam, minutes, seed=1):
        """Expected and counted intensity at three scans before and some after the voltage, and c from the counts."""
        raster = xam.Raster(np.linspace(0.1e-3, 2.9e-3, 41), path_length, beam_width=beam, photons=photons)
        times = 60 * np.array([-15, -10, -5, *minutes], dtype=float)
        expected = xam.transmitted(solution, case.transport, light, raster, times)
        seen = xam.counted(expected, np.random.default_rng(seed))
        found = xam.concentration(seen, case.transport, light, path_length, case.c0)
        true = xam.concentration(expected, case.transport, light, path_length, case.c0)
        return seen, found, true

    return absorb, case, light, path_length, solution


@app.cell(hide_code=True)
def _(mo):
    photons = mo.ui.slider(
        3.0, 7.0, value=5.0, step=0.5, label="photons at an empty point, power of ten", show_value=True
    )
    beam_mm = mo.ui.slider(0.0, 1.0, value=0.015, step=0.005, label="beam width (mm)", show_value=True)
    scan_minute = mo.ui.slider(10, 960, value=300, step=10, label="scan at (min)", show_value=True)
    mo.vstack([photons, beam_mm, scan_minute])
    return beam_mm, photons, scan_minute


@app.cell(hide_code=True)
def _(absorb, beam_mm, case, figstyle, mo, np, photons, scan_minute, solution, state_at, xam):
    _seen, _found, _ = absorb(10**photons.value, 1e-3 * beam_mm.value, [scan_minute.value])
    _x = 1e3 * (_found.position - case.cell.from_origin(0.0))
    _faces = 1e3 * (
        state_at(solution, "position_face", 60.0 * scan_minute.value)
        + float(state_at(solution, "interface_shift", 60.0 * scan_minute.value))
        - case.cell.from_origin(0.0)
    )
    _true = state_at(solution, "c_face", 60.0 * scan_minute.value)
    with figstyle.panels(1, 2, width=figstyle.TWO_COLUMNS, height=2.6) as (_figure, _axes):
        for _row, _text, _marker in zip(
            (0, -1), ("before", f"{scan_minute.value} min"), figstyle.MARKERS, strict=False
        ):
            _counts = _seen.intensity[_row]
            figstyle.points(
                _axes[0],
                _x,
                _counts,
                np.sqrt(_counts),
                marker=_marker,
                label=_text,
                color=figstyle.COLOURS[0 if _row == 0 else 1],
            )
        _axes[0].set(xlabel="from cell centre, $x$ (mm)", ylabel="photons counted (synthetic)")
        _axes[0].legend()
        _axes[1].plot(_faces, _true / 1e3, color=figstyle.COLOURS[0], label="in the cell")
        figstyle.points(_axes[1], _x, _found.c[0] / 1e3, _found.error[0] / 1e3, label="from the counts")
        _axes[1].set(xlabel="from cell centre, $x$ (mm)", ylabel="salt $c$ (mol/L)")
        _axes[1].legend()
    _error = np.nanmedian(_found.error[0]) / case.c0
    mo.vstack([_figure, mo.md(f"Standard error of a point: {100 * _error:.2g} % of the average concentration.")])
    return


@app.cell(hide_code=True)
def _(absorb, case, light, mo, np, solution, state_at, xam):
    # fixed settings, for the numbers in the text and the checks at the end
    _minutes = list(range(60, 960, 60))
    _, _found, _clean = absorb(1e5, 15e-6, _minutes)
    pull = (_found.c - _clean.c) / _found.error
    inside_95 = float(np.mean(np.abs(pull) < 1.96))
    _errors = [float(np.median(absorb(n, 15e-6, [300])[1].error)) for n in (1e4, 1e6)]
    photon_gain = _errors[0] / _errors[1]
    displaced = float(light.displaced_share(case.transport, case.c0))

    def truth(found):
        rows = []
        for t in found.time:
            faces = state_at(solution, "position_face", t) + float(state_at(solution, "interface_shift", t))
            rows.append(np.interp(found.position, faces, state_at(solution, "c_face", t)))
        return np.array(rows)

    blur = {
        beam: float(np.max(np.abs(clean.c - truth(clean))) / case.c0)
        for beam in (15e-6, 0.2e-3)
        for clean in [absorb(1e5, beam, _minutes)[2]]
    }
    mo.md(rf"""
    **Look for these.**

    - A scan *before* the voltage is half of the result. Without it the left panel says nothing.
    - 100 times the photons, {photon_gain:.1f} times less error.
    - If the displaced solvent is forgotten, every change of concentration comes out {100 * displaced:.1f} % too small. That looks like a
      different $t_+^0$.
    - A beam of 15 µm changes $c$ by at most {blur[15e-6]:.0e} of its average here; one of 0.2 mm
      by {blur[0.2e-3]:.2f} at the outermost point, where it touches the lithium.
    """)
    return blur, displaced, inside_95, photon_gain


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    ## Heterodyne XPCS

    Coherent X-rays scattered by the moving polymer interfere with those scattered by something at rest. As the polymer
    moves, their phase turns, and the intensity correlation oscillates:

    $$ g_2(\mathbf q, \tau) = 1 + C\left[(1-h)^2 + h^2 E^2 + 2h(1-h)\cos(\omega\tau)\,E\right], \quad
       E = e^{-(\tau/\tau_0)^\gamma}, \quad \omega = q\,v\cos\chi_\mathrm{az}. $$

    $h$ is the moving fraction of the field, $\tau_0$ the polymer's own relaxation, $\chi_\mathrm{az}$ the angle between
    $\mathbf q$ and the velocity. The moving material is the **solvent**, and $v$ is its velocity **in the lab**.
    """)
    return


@app.cell
def _(case, np, solution, xpcs):
    q, azimuth = xpcs.geometry(np.array([0.004, 0.006, 0.009]) * 1e10, np.deg2rad(np.arange(0, 180, 30.0)))
    tau = np.unique(np.round(np.geomspace(1, 300, 40)))

    def correlate(position, minute, h=0.3, relaxation=80.0, noise=3e-3, seed=2):
        """A series of ten minutes at a place from the cell centre, synthetic: g2 of the run, with noise."""
        clean = xpcs.g2_of_solution(
            solution,
            q,
            azimuth,
            tau,
            position=case.cell.from_origin(position),
            start=60.0 * minute,
            duration=600.0,
            contrast=0.2,
            h=h,
            tau0=relaxation * (0.006e10 / q) ** 1.5,
            stretch=0.8,
            beam=15e-6,
        )
        data = xpcs.CorrelationSet(
            q, azimuth, tau, clean, np.full(clean.shape, noise), time=60.0 * minute, duration=600.0
        )
        return xpcs.add_noise(data, seed)

    return azimuth, correlate, q, tau


@app.cell(hide_code=True)
def _(mo):
    place = mo.ui.dropdown(
        {"-0.85 mm": -0.85e-3, "-0.50 mm": -0.5e-3, "-0.15 mm": -0.15e-3, "0.20 mm": 0.2e-3, "0.55 mm": 0.55e-3},
        value="0.20 mm",
        label="beam, from cell centre",
    )
    series_minute = mo.ui.slider(10, 900, value=300, step=10, label="series at (min)", show_value=True)
    moving = mo.ui.slider(0.05, 0.95, value=0.3, step=0.05, label="moving fraction $h$", show_value=True)
    relaxation = mo.ui.slider(5, 300, value=80, step=5, label=r"relaxation $\tau_0$ (s)", show_value=True)
    noise = mo.ui.slider(0.5, 30, value=3, step=0.5, label="noise of a point (1e-3)", show_value=True)
    mo.hstack([mo.vstack([place, series_minute, noise]), mo.vstack([moving, relaxation])], justify="start")
    return moving, noise, place, relaxation, series_minute


@app.cell(hide_code=True)
def _(
    at_beam,
    azimuth,
    case,
    correlate,
    figstyle,
    fit_velocity,
    mo,
    moving,
    noise,
    np,
    place,
    q,
    relaxation,
    series_minute,
    solution,
    tau,
):
    _data = correlate(place.value, series_minute.value, moving.value, relaxation.value, 1e-3 * noise.value)
    _fit = fit_velocity(_data)
    _v = at_beam(solution, "v_0", [case.cell.from_origin(place.value)], beam=15e-6).mean[:, 0]
    _ends = np.interp(60 * series_minute.value + np.array([0, 600]), solution["time"], _v)
    with figstyle.panels(1, 2, width=figstyle.TWO_COLUMNS, height=2.6) as (_figure, _axes):
        _ring = np.isclose(q, q.min(), rtol=1e-6, atol=0)
        _dense = np.geomspace(tau[0], tau[-1], 400)
        _model = _fit.g2(_dense)
        for _panel, _rows, _title in (
            (_axes[0], np.flatnonzero(_ring)[[0, 2, 3]], "one $q$, three directions"),
            (_axes[1], np.flatnonzero(np.abs(azimuth) < 1e-9), "along the velocity, three $q$"),
        ):
            for _row, _colour, _marker in zip(_rows, figstyle.COLOURS, figstyle.MARKERS, strict=False):
                _label = f"{np.rad2deg(azimuth[_row]):.0f}°" if _panel is _axes[0] else f"{q[_row] / 1e10:.3f} Å⁻¹"
                figstyle.points(
                    _panel, tau, _data.g2[_row], _data.error[_row], color=_colour, marker=_marker, label=_label
                )
                _panel.plot(_dense, _model[_row], color=_colour, linewidth=0.9)
            _panel.set(xscale="log", xlabel=r"delay $\tau$ (s)", ylabel="$g_2$ (synthetic)", title=_title)
            _panel.legend(loc="lower left")
    mo.vstack(
        [
            _figure,
            mo.md(
                f"**Fit of all {q.size} curves:** {_fit.describe()} In the cell, from the start to the end of these ten minutes: {1e10 * _ends[0]:+.2f} to {1e10 * _ends[1]:+.2f} Å/s."
            ),
        ]
    )
    return


@app.cell(hide_code=True)
def _(MeasuredSpeeds, at_beam, case, compare_velocities, correlate, fit_velocity, np, solution, tau, xpcs):
    # fixed settings again: the five beam positions at 300 min
    places = np.array(case.output.positions)
    _moment = 60 * 300 + 300.0  # the middle of the series
    fits = [
        fit_velocity(correlate(p - case.cell.from_origin(0.0), 300, noise=1e-2, seed=10 + k))
        for k, p in enumerate(places)
    ]
    _v = at_beam(solution, "v_0", places, beam=15e-6).mean
    _true = np.array([np.interp(_moment, solution["time"], _v[:, k]) for k in range(places.size)])
    pulls = np.array([(f.v - abs(v)) / f.error for f, v in zip(fits, _true, strict=True)])
    compared = compare_velocities(
        solution,
        case.transport,
        MeasuredSpeeds(places, np.full(places.size, _moment), [f.v for f in fits], [f.error for f in fits]),
        beam=15e-6,
    )
    _shape = {"contrast": 0.2, "h": 0.3, "tau0": 80.0, "stretch": 0.8}
    _there, _back, _fast = (
        xpcs.heterodyne_g2([0.006e10] * 2, np.deg2rad([0.0, 90.0]), tau, v=v, **_shape) for v in (2e-9, -2e-9, 4e-9)
    )
    sign_gap = float(np.abs(_there - _back).max())
    across_gap = float(np.abs(_there[1] - _fast[1]).max())
    upper = fit_velocity(correlate(0.2e-3, 300, relaxation=3.0, noise=2e-2))
    return across_gap, compared, fits, places, pulls, sign_gap, upper


@app.cell(hide_code=True)
def _(at_beam, case, compared, figstyle, fits, mo, np, places, solution, upper):
    _x = 1e3 * (np.array(case.output.positions) - case.cell.from_origin(0.0))
    with figstyle.panels(1, 2, width=figstyle.TWO_COLUMNS, height=2.4) as (_figure, _axes):
        figstyle.points(
            _axes[0],
            _x,
            [1e10 * f.v for f in fits],
            [1e10 * f.error for f in fits],
            label="from $g_2$, $|v_0|$ in the lab",
        )
        _line = np.linspace(places.min(), places.max(), 60)
        _line_x = 1e3 * (_line - case.cell.from_origin(0.0))
        for _panel, _name, _frame in zip(_axes, ("v_0", "v_minus"), ("lab", "interface"), strict=True):
            _here = at_beam(solution, _name, _line, frame=_frame).mean
            _here = [np.interp(300 * 60 + 300, solution["time"], v) for v in _here.T]
            _panel.plot(_line_x, 1e10 * np.array(_here), color=figstyle.COLOURS[0], label="in the cell")
        figstyle.points(
            _axes[1], _x, 1e10 * compared.anion, 1e10 * compared.anion_error, label="$-\\varepsilon(v_0 - v_s)$"
        )
        _axes[0].set(ylabel="polymer, $|v_0|$ (Å/s)", ylim=(0, None))
        _axes[1].set(ylabel="anions, $v_-$ (Å/s), interface frame", ylim=(None, 0))
        for _panel in _axes:
            _panel.set_xlabel("from cell centre, $x$ (mm)")
            _panel.legend()
    mo.vstack(
        [
            mo.md(
                r"""
                **Look for these.**

                - At 90° the phase does not change: a motion perpendicular to $\mathbf q$ is invisible. The three $q$ oscillate at frequencies in the ratio of $q$.
                - Shorten the relaxation, or raise the noise: the envelope dies before the phase has turned, and the answer becomes an *upper
                  limit*. An upper limit is a result. A best value next to zero is not.
                - $h$ and $1 - h$ look alike as long as the envelope has not decayed.
                - The cosine is even, so $g_2$ gives $|v|$. The sign is taken from the model.

                ## Back to the anions

                The five beam positions at 300 min: the speed from the synthetic correlation functions (left), and the anion's velocity by
                volume balance with the motion of the interfaces subtracted (right; notebook 3).
                """
            ),
            _figure,
            mo.md(
                f"Measured over true, anions: {np.mean(compared.ratio):.3f} on average. The short cut of notebook 3 (one ε, interfaces assumed "
                f"at rest, solvent frame) gives {compared.ratio_published.min():.2f} to {compared.ratio_published.max():.2f} for the same data."
            ),
            mo.md(f"With a relaxation of 3 s and noise of 0.02 the same place gives: *{upper.describe()}*"),
        ]
    )
    return


@app.cell(hide_code=True)
def _(displaced, mo):
    mo.accordion(
        {
            "1. Your XAM profiles conserve salt to 1 % but all changes of concentration are 10 % too small. Two suspects?": mo.md(
                rf"""The path length (it scales every change alike) and the displaced solvent ({100 * displaced:.0f} % here). Neither violates
                conservation: both keep the sum of the changes at zero. The voltage or $i(t)$ must decide."""
            ),
            "2. Why is the whole-cell profile symmetric in shape but the velocity profile not?": mo.md(
                r"""$v_- = N_-/c_-$: the same flux is carried by many slow anions at the positive side and by few fast ones at the negative side."""
            ),
            "3. The fit says 20 ± 0.5 Å/s. A colleague fits one curve at 80° and gets 60 ± 40. Contradiction?": mo.md(
                r"""No. At 80° the frequency is $\cos 80^\circ$, a sixth, of the full one: the phase hardly turns before the envelope decays. Fit all
                directions at once with one $v$."""
            ),
            "4. The beam position is known to 0.04 mm. For which of the two instruments does this matter more?": mo.md(
                r"""Compare $\mathrm d c/\mathrm d x$ with the error of $c$, and $\mathrm d v/\mathrm d x$ with that of $v$, in the figures above. Near the
                electrodes $v$ falls to zero within the diffusion layer at early times: there the position decides."""
            ),
        }
    )
    return


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    ## What to remember

    1. XAM measures a *change* of concentration. Scan before the voltage; say which solvent volume was displaced.
    2. XPCS measures the speed of the *solvent*, in the *lab*, along $\mathbf q$. It measures neither the anion nor the sign.
    3. Report an interval or an upper limit, from all curves at once.
    4. Subtract the motion of the interfaces before you multiply by $\varepsilon$.
    """)
    return


@app.cell(hide_code=True)
def _(across_gap, blur, compared, displaced, fits, inside_95, mo, np, photon_gain, pulls, sign_gap, upper):
    checks = {
        f"95 % intervals of c hold the expected value in {100 * inside_95:.1f} % of 615 points": 0.92
        < inside_95
        < 0.98,
        f"100 times the photons: error / {photon_gain:.2f}": abs(photon_gain / 10 - 1) < 0.05,
        f"forgotten solvent: {100 * displaced:.2f} %": abs(displaced - 0.115) < 0.005,
        f"beam of 15 µm: {blur[15e-6]:.1e} of c; of 0.2 mm: {blur[0.2e-3]:.1e}": blur[15e-6] < 1e-3 < blur[0.2e-3],
        f"speeds at five places: largest error {np.abs(pulls).max():.1f} standard errors": np.abs(pulls).max() < 3.5,
        "all five are resolved": all(f.resolved for f in fits),
        f"g2 of v and -v differ by {sign_gap:.0e}": sign_gap < 1e-14,
        f"at 90 degrees twice the speed changes g2 by {across_gap:.0e}": across_gap < 1e-12,
        f"anion velocities: measured over model {np.mean(compared.ratio):.3f}": abs(np.mean(compared.ratio) - 1) < 0.05,
        f"the short cut gives {compared.ratio_published.min():.2f} to {compared.ratio_published.max():.2f}": compared.ratio_published.max()
        < 0.95,
        "a fast relaxation leaves an upper limit": not upper.resolved,
    }
    assert all(checks.values()), [claim for claim, holds in checks.items() if not holds]
    mo.md("**Checked in this run**\n\n" + "\n".join(f"- {claim}" for claim in checks))
    return


if __name__ == "__main__":
    app.run()
