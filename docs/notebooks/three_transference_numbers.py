# /// script
# requires-python = ">=3.11"
# dependencies = ["cellsim", "marimo"]
# ///

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="2 Three transference numbers")


@app.cell
def _():
    import marimo as mo
    import numpy as np

    from cellsim import Cell, OnsagerMatrix, Protocol, TransportSet, hold_voltage, simulate
    from cellsim.base import F
    from cellsim.drawing import figstyle
    from cellsim.electrolyte.onsager import ion_potentials

    return (
        Cell,
        F,
        OnsagerMatrix,
        Protocol,
        TransportSet,
        figstyle,
        hold_voltage,
        ion_potentials,
        mo,
        np,
        simulate,
    )


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    # 2 Three transference numbers of one electrolyte, and what no experiment can see

    Three laboratories measure "the lithium transference number" of one sample. One uses pulsed-field-gradient NMR, one
    holds a small voltage on a Li | electrolyte | Li cell until the current is steady, one watches ions and solvent move in
    an electric field. They report 0.1, 0.7 and −1. All three results are right.

    You need notebook 1. Set aside one hour.

    ## One matrix

    Between two points of an electrolyte each ion feels the slope of its electrochemical potential
    $\tilde\mu_i = \mu_i + z_i F \phi$. Close to equilibrium fluxes are linear in these slopes. Measured relative to the
    *solvent*:

    $$ -\begin{bmatrix} J_+ \\ J_- \end{bmatrix} =
       \begin{bmatrix} \Omega_{+{+}} & \Omega_{+-} \\ \Omega_{+-} & \Omega_{-{-}} \end{bmatrix}
       \begin{bmatrix} \nabla\tilde\mu_+ \\ \nabla\tilde\mu_- \end{bmatrix}. $$

    So there are three numbers at each concentration. $\Omega_{+-} > 0$ means that pulling on the anions drags cations along.
    Everything below follows from this matrix (Shao & Zhang 2023,
    [doi:10.1063/5.0155301](https://doi.org/10.1063/5.0155301)); in code, `cellsim.OnsagerMatrix`.

    | number | asks | formula |
    | --- | --- | --- |
    | $t_+^0$ | which share of the current do cations carry while the salt is *uniform*? | $z_+\sum_j z_j\Omega_{+j} / \sum_{ij} z_i z_j \Omega_{ij}$ |
    | $\rho_+$ | which share of the current is left when the anions *stand still*? | $z_+^2\left(\Omega_{+{+}} - \Omega_{+-}^2/\Omega_{-{-}}\right) / \sum_{ij} z_i z_j \Omega_{ij}$ |
    | $t_\mathrm{app}$ | what if ions moved *independently*, each as NMR sees it diffuse? | $D_+ / \left(D_+ - (z_-/z_+) D_-\right)$ |

    The denominator of the first two is $\kappa/F^2$. Without correlations, neither $\Omega_{+-}$ nor any between ions of
    one kind, all three agree. The numerator of $\rho_+$ cannot be negative. That of $t_+^0$ can: for a 1:1 salt, as soon as
    $\Omega_{+-} > \Omega_{+{+}}$.
    """)
    return


@app.cell
def _(Cell, F, OnsagerMatrix, Protocol, TransportSet, hold_voltage, np, simulate):
    def electrolyte(ratio, correlation, z_minus=-1, kappa=0.1, c=1000.0, T=303.0):
        """Onsager matrix of given conductivity; ratio and correlation of the ions' shares of it, each per charge."""
        shares = np.array([[1.0, correlation * np.sqrt(ratio)], [correlation * np.sqrt(ratio), ratio]])
        per_charge = shares / np.outer([1, -z_minus], [1, -z_minus])
        scale = kappa / F**2 / (1 + ratio - 2 * correlation * np.sqrt(ratio))
        return OnsagerMatrix(scale * per_charge, (1, z_minus), (-z_minus, 1), c, T, "solvent")

    def polarise(onsager, chi=1.5, voltage=1e-3, thickness=1e-3):
        """A small voltage held on a cell of this electrolyte."""
        transport = TransportSet.constant(
            kappa=onsager.kappa,
            D=onsager.diffusion(chi),
            t_plus=onsager.t_plus,
            chi=chi,
            T=onsager.T,
            z_minus=int(onsager.z[1]),
            nu_plus=int(onsager.nu[0]),
        )
        cell = Cell(thickness, onsager.T)
        hold = hold_voltage(voltage, thickness**2 / onsager.diffusion(chi))
        return simulate(cell, transport, Protocol((hold,)), c0=onsager.c, solver="sundials")

    return electrolyte, polarise


@app.cell(hide_code=True)
def _(mo):
    ratio = mo.ui.slider(
        0.2, 5.0, value=2.0, step=0.1, label=r"$z_-^2\Omega_{-{-}} / z_+^2\Omega_{+{+}}$", show_value=True
    )
    correlation = mo.ui.slider(
        -0.9, 0.95, value=0.3, step=0.05, label=r"$\Omega_{+-}/\sqrt{\Omega_{+{+}}\Omega_{-{-}}}$", show_value=True
    )
    valence = mo.ui.dropdown({"1:1 salt": -1, "anion of charge −20": -20}, value="1:1 salt", label="salt")
    diffusion_ratio = mo.ui.slider(0.2, 10, value=0.5, step=0.1, label="$D_+/D_-$ (NMR)", show_value=True)
    mo.vstack([mo.md("## Move the matrix"), ratio, correlation, valence, diffusion_ratio])
    return correlation, diffusion_ratio, ratio, valence


@app.cell(hide_code=True)
def _(correlation, diffusion_ratio, electrolyte, figstyle, mo, np, polarise, ratio, valence):
    _O = electrolyte(ratio.value, correlation.value, valence.value)
    _t_app = _O.ideal(diffusion_ratio.value * 1e-11, 1e-11).t_app
    _s = polarise(_O)
    _r = np.linspace(-0.9, 0.97, 120)
    _all = [electrolyte(ratio.value, r, valence.value) for r in _r]
    with figstyle.panels(1, 2, width=figstyle.TWO_COLUMNS, height=2.6) as (_figure, _axes):
        _axes[0].plot(_r, [o.t_plus for o in _all], label="$t_+^0$, field")
        _axes[0].plot(_r, [o.rho_plus for o in _all], linestyle=figstyle.DASHES[1], label=r"$\rho_+$, steady current")
        _axes[0].axhline(
            _t_app, color=figstyle.COLOURS[2], linestyle=figstyle.DASHES[2], label=r"$t_\mathrm{app}$, NMR"
        )
        _axes[0].axhline(0, color=figstyle.GREY, linewidth=0.5)
        _axes[0].axvline(correlation.value, color=figstyle.GREY, linestyle=":")
        _axes[0].plot(correlation.value, _O.t_plus, "o", color=figstyle.COLOURS[0])
        _axes[0].plot(correlation.value, _O.rho_plus, "s", color=figstyle.COLOURS[1])
        _axes[0].set(
            xlabel=r"$\Omega_{+-}/\sqrt{\Omega_{+{+}}\Omega_{-{-}}}$", ylabel="transference (1)", ylim=(-2, 1.5)
        )
        _axes[0].legend(loc="lower left")
        _axes[1].plot(_s["time"] / 3600, _s["i"] / _s["i"][0])
        figstyle.reference(_axes[1], _O.rho_plus, r"$\rho_+$ from the matrix")
        _axes[1].set(xlabel="time $t$ (h)", ylabel="current $i/i_0$ (simulated cell)", ylim=(0, 1.1), xlim=(0, None))
    mo.vstack(
        [
            _figure,
            mo.md(
                rf"""$t_+^0$ = **{_O.t_plus:.2f}**, $\rho_+$ = **{_O.rho_plus:.2f}**, $t_\mathrm{{app}}$ = **{_t_app:.2f}**.
                The cell on the right was simulated with κ, $D$, $t_+^0$ and χ alone; it has not been told $\rho_+$, and ends at
                {_s["i"][-1] / _s["i"][0]:.3f}."""
            ),
        ]
    )
    return


@app.cell(hide_code=True)
def _(F, OnsagerMatrix, np, polarise):
    # three coefficients of like size in Wheeler-Newman's form, as Fang 2026 finds them; the size itself is assumed
    c_ions = np.array([200.0, 10.0])
    s_unit = 0.06 / (F * c_ions[0]) ** 2
    fang_rho = 0.7
    a_unit = s_unit * (2 + 4 / (1 / fang_rho - 1))
    star = OnsagerMatrix.from_wheeler_newman(
        [[a_unit - s_unit, a_unit], [a_unit, a_unit + 2 * s_unit]],
        z=(1, -20),
        nu=(20, 1),
        c=10.0,
        T=303.0,
        frame="solvent",
    )
    star_app = star.ideal(20 * 0.1 / 0.9 * 1e-11, 1e-11).t_app
    _run = polarise(star, chi=1.0)
    star_ratio = _run["i"][-1] / _run["i"][0]
    spread = star.wheeler_newman.max() / star.wheeler_newman.min()
    return spread, star, star_app, star_ratio


@app.cell(hide_code=True)
def _(mo, spread, star, star_app, star_ratio):
    mo.md(rf"""
    ## An electrolyte that has all three

    Fang et al. ([doi:10.1039/D5TA05739F](https://doi.org/10.1039/D5TA05739F)) study a star-shaped anion of charge −20. In
    their simulations and in the experiments they compare with, $t_\mathrm{{app}}$ is near 0.1 at low concentration, $\rho_+$
    above one half, and $t_+^0$ of the order of −1. How can $\rho_+$ and $t_+^0$ disagree in sign *and* in the ranking of
    the electrolyte?

    Take three coefficients that differ by no more than a factor of {spread:.2f} (Wheeler-Newman's form,
    $L_{{ij}} = \Omega_{{ij}}/c_i c_j$). That matrix has $t_+^0 = {star.t_plus:.2f}$, $\rho_+ = {star.rho_plus:.2f}$; a cell
    simulated with it keeps {star_ratio:.3f} of its current. With a ratio $D_+/D_-$ that gives it,
    $t_\mathrm{{app}} = {star_app:.2f}$. (The matrix is made to have these numbers; the paper's trajectories are not used.
    `cases/fang2026` goes the whole way from displacements to a cell.)

    - $t_+^0$: the field pulls each ion by its charge. A lithium ion bound to an anion of charge −20 is carried *backwards*
      by it: $L_{{+{{+}}}} - L_{{+-}} < 0$.
    - $\rho_+$: with anions at rest nothing carries lithium backwards. And κ, the denominator, is a small difference
      of large coefficients, so the share that is left looks large.
    - $t_\mathrm{{app}}$: NMR follows single ions over time. It does not show in which direction they are pulled.

    **A large $\rho_+$ is no proof of a good cation conductor**: here most of what might have conducted is cancelled before
    the ratio is taken. Report κ, $\rho_+$ and $t_+^0$; what a cell can carry at the steady state is $\kappa\rho_+$.
    """)
    return


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    ## What no experiment can see

    The matrix acts on $\tilde\mu_+ = \mu_+ + z_+F\phi$. How much of that slope is "chemical" and how much "electrical"? At
    the steady state there are two equations, $J_+ = i/z_+F$ and $J_- = 0$, and three unknowns: $\nabla\phi$, $\nabla\mu_+$,
    $\nabla\mu_-$. A third equation must be *chosen*. Following Shao & Zhang (Eqs. 16-20), let

    $$ \mu_+ = x\,\mu_-. $$

    The literature has $x = 0$ and $x = 1$. Choose your own, and watch.
    """)
    return


@app.cell(hide_code=True)
def _(mo):
    x = mo.ui.slider(
        -0.9, 5.0, value=1.0, step=0.1, label=r"$x$ in $\mu_+ = x\,\mu_-$", show_value=True, full_width=True
    )
    mo.vstack([x])
    return (x,)


@app.cell(hide_code=True)
def _(F, electrolyte, figstyle, ion_potentials, mo, np, x):
    sample = electrolyte(2.0, 0.3)
    _found = ion_potentials(sample, x.value, 1.0)
    _at_one = ion_potentials(sample, 1.0, 1.0)
    _L = np.linspace(0, 1e-3, 2)
    with figstyle.panels(1, 2, width=figstyle.TWO_COLUMNS, height=2.6) as (_figure, _axes):
        for _value, _name, _dash in zip(
            (_found.phi, _found.mu_plus / F, _found.mu_minus / F),
            (r"$\phi$", r"$\mu_+/F$", r"$\mu_-/F$"),
            figstyle.DASHES,
            strict=False,
        ):
            _axes[0].plot(1e3 * _L, 1e3 * _value * _L, linestyle=_dash, label=_name)
        for _value, _name, _dash in zip(
            (_found.voltage, _found.salt / F),
            (r"Li electrode, $\tilde\mu_+/z_+F$", r"salt, $\mu_\mathrm{e}/F$"),
            figstyle.DASHES,
            strict=False,
        ):
            _axes[1].plot(1e3 * _L, 1e3 * _value * _L, linestyle=_dash, label=_name)
        for _panel, _text in zip(_axes, ("moves with $x$: a convention", "does not move: measurable"), strict=True):
            _panel.set(title=_text, xlabel="distance from positive electrode (mm)", ylim=(-60, 20))
            _panel.legend(loc="lower left")
        _axes[0].set_ylabel("potential (mV)")
    mo.vstack(
        [
            _figure,
            mo.md(
                f"""
                | 1:1 salt, 1 A/m², 1 mm | your $x$ = {x.value:.1f} | $x$ = 1 |
                | --- | --- | --- |
                | Galvani potential over the cell (mV) | {_found.phi:.6f} | {_at_one.phi:.6f} |
                | chemical potential of the cation (J/mol) | {1e-3 * _found.mu_plus:.6f} | {1e-3 * _at_one.mu_plus:.6f} |
                | chemical potential of the anion (J/mol) | {1e-3 * _found.mu_minus:.6f} | {1e-3 * _at_one.mu_minus:.6f} |
                | **voltage between two Li electrodes (mV)** | {_found.voltage:.6f} | {_at_one.voltage:.6f} |
                | **chemical potential of the salt (J/mol)** | {1e-3 * _found.salt:.6f} | {1e-3 * _at_one.salt:.6f} |
                | **anion flux over cation flux** | {_found.fluxes[1] / _found.fluxes[0]:.0e} | {_at_one.fluxes[1] / _at_one.fluxes[0]:.0e} |
                | **steady over initial current** | {_found.current_fraction:.6f} | {_at_one.current_fraction:.6f} |
                """
            ),
        ]
    )
    return (sample,)


@app.cell(hide_code=True)
def _(ion_potentials, np, sample, star):
    _names = ("voltage", "salt", "current", "current_fraction")
    measured_move, chosen_move = 0.0, []
    for _electrolyte in (sample, star):
        _all = [ion_potentials(_electrolyte, float(v), 1.0) for v in np.linspace(0, 5, 101)]
        for _name in _names:
            _values = np.array([getattr(p, _name) for p in _all])
            measured_move = max(measured_move, float(np.ptp(_values) / abs(_values[0])))
        measured_move = max(measured_move, max(abs(p.fluxes[1] / p.fluxes[0]) for p in _all))
        chosen_move.append(float(np.ptp([p.phi for p in _all]) / abs(_all[0].phi)))
    split = sample.potential_split()
    return chosen_move, measured_move, split


@app.cell(hide_code=True)
def _(chosen_move, measured_move, mo, split):
    mo.md(rf"""
    Over $x$ from 0 to 5 the Galvani potential of this salt moves by {100 * chosen_move[0]:.0f} % of itself. Everything that can be
    measured moves by at most {measured_move:.0e} of itself: the round-off of the computer.

    Why? Add any function $\psi$ to $\phi$ and take $z_i F \psi$ from every $\mu_i$. No $\tilde\mu_i$ changes, hence no flux, no
    voltage (two electrodes compare $\tilde\mu_+$), no salt activity (charges cancel in $\nu_+\mu_+ + \nu_-\mu_-$). Single-ion
    activities, the liquid-junction potential inside a concentration gradient, "the potential in the electrolyte": each
    needs a convention before it has a value. This is Gibbs's and Guggenheim's principle. `cellsim` therefore reports $\phi$
    *against a lithium reference electrode*, which is $\tilde\mu_+/z_+F$, and never a Galvani potential.

    What *is* decided by the matrix is how the voltage is shared: here {100 * split:.0f} % of it is the salt's
    (Shao's Eq. 22; one half without correlation).

    ## Exercises
    """)
    return


@app.cell(hide_code=True)
def _(electrolyte, mo):
    _plain = electrolyte(2.0, 0.0)
    _negative = electrolyte(0.5, 0.8)
    mo.accordion(
        {
            "1. Set the correlation to zero. Which two numbers agree, and when does the third join them?": mo.md(
                rf"""$t_+^0 = \rho_+ = {_plain.t_plus:.3f}$ (ratio 2). $t_\mathrm{{app}}$ joins when ions of one kind do not move together
                either: then $\Omega_{{ii}} = c_i D_i/RT$ and $D_+/D_-$ = 0.5 gives the same."""
            ),
            "2. Find a 1:1 salt with $t_+^0 < 0$ and $\\rho_+ > 0.2$. Why does the anion have to be the faster one, or must it?": mo.md(
                rf"""$t_+^0 < 0$ needs $\Omega_{{+-}} > \Omega_{{+{{+}}}}$, while $\Omega_{{+-}}^2 < \Omega_{{+{{+}}}}\Omega_{{-{{-}}}}$ always, so
                $\Omega_{{-{{-}}}} > \Omega_{{+-}} > \Omega_{{+{{+}}}}$. The ratio must exceed 1. With ratio 0.5 even a correlation of 0.8 leaves
                $t_+^0 = {_negative.t_plus:.2f}$, above 1: now the cations drag the anions."""
            ),
            "3. Can $\\rho_+$ exceed $t_+^0$? Can it be below?": mo.md(
                r"""$\rho_+ - t_+^0 = z_+^2\left(\Omega_{+-}\Omega_{-{-}}\,|z_-|/z_+ - \Omega_{+-}^2\right)/(\Omega_{-{-}}\sum z z\Omega)$, which has the
                sign of $\Omega_{+-}\left(|z_-|\Omega_{-{-}}/z_+ - \Omega_{+-}\right)$: above for moderate positive correlation, below for
                negative. Move the slider through zero and see the curves cross."""
            ),
            "4. Someone measures the anion's *activity coefficient* with a chloride electrode and a junction. What did they measure?": mo.md(
                r"""A combination that includes the junction's own convention. Two electrodes of different ions *without*
                junction give $\mu_+ + \mu_-$, the salt's. That is all there is."""
            ),
        }
    )
    return


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    ## What to remember

    1. Three coefficients make κ, $t_+^0$, $\rho_+$ (and, with χ, $D$). $t_\mathrm{app}$ is not among them: it is made of other motions.
    2. $\rho_+$ lies between 0 and 1. $t_+^0$ does not. They may disagree as much as 0.7 and −1.
    3. A cell under blocked anions shows $\rho_+$; $t_+^0$ is measured directly only in a uniform salt, in a field, with the motion of the solvent observed too.
    4. $\phi$, $\mu_+$ and $\mu_-$ by themselves are conventions. Voltage, salt activity and fluxes are measurable.
    """)
    return


@app.cell(hide_code=True)
def _(chosen_move, electrolyte, measured_move, mo, polarise, star, star_app, star_ratio):
    _pairs = [(2.0, 0.3), (4.0, 0.9), (0.5, -0.5)]
    _runs = [(electrolyte(a, b), polarise(electrolyte(a, b))) for a, b in _pairs]
    gap = max(abs(s["i"][-1] / s["i"][0] / o.rho_plus - 1) for o, s in _runs)
    _plain = electrolyte(2.0, 0.0)
    checks = {
        f"cells end at rho+ of the matrix within {gap:.1e}": gap < 1e-3,
        f"the star-shaped anion: t+0 = {star.t_plus:.6f}": abs(star.t_plus + 1) < 1e-9,
        f"its rho+ = {star.rho_plus:.6f}, its cell {star_ratio:.4f}": abs(star.rho_plus - 0.7) < 1e-9
        and abs(star_ratio / 0.7 - 1) < 1e-3,
        f"its t_app = {star_app:.3f}": abs(star_app - 0.1) < 1e-12,
        f"measurable quantities move by {measured_move:.0e} while x goes from 0 to 5": measured_move < 1e-12,
        f"the Galvani potential moves by {chosen_move[0]:.2f} of itself": chosen_move[0] > 0.1,
        "without correlation t+0 and rho+ are one": abs(_plain.t_plus - _plain.rho_plus) < 1e-12,
        "without correlation half of the voltage is the salt's": abs(_plain.potential_split() - 0.5) < 1e-12,
        "t+0 < 0 with rho+ > 0.2 exists for a 1:1 salt": electrolyte(4.0, 0.7).t_plus
        < 0
        < 0.2
        < electrolyte(4.0, 0.7).rho_plus,
        "t+0 > 1 where the cations drag the anions": electrolyte(0.5, 0.8).t_plus > 1,
    }
    assert all(checks.values()), [claim for claim, holds in checks.items() if not holds]
    mo.md("**Checked in this run**\n\n" + "\n".join(f"- {claim}" for claim in checks))
    return


if __name__ == "__main__":
    app.run()
