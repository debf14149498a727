// The cell in the browser: Li | electrolyte | Li at constant voltage, concentrated-solution theory, constant properties.
//
// Scaled with c0, L and L^2/D the salt balance in the interface frame is
//     du/ds = d/dx [du/dx + J (1 - phi u)],   no salt through x = 0 and x = 1,   J = i L (1 - t+0)/(F D c0),
// with phi = c0 V_e (0 where the solvent is held still), and the voltage law
//     J/B = V/K - ln m(0)/m(1),   m = u/(1 - phi u),   K = 2RT/F (1 - t+0) chi,   B = Ne R_b/(R_b + R_int).
// Finite volumes, as fine at the walls as the first salt layer asks; TR-BDF2 in time with its embedded error estimate;
// current and concentration found together from one tridiagonal matrix with two right-hand sides; wall values rebuilt
// from the two nearest averages and the slope that the current prescribes.
//
// Newman & Balsara, Electrochemical Systems, 4th ed., 12.8-12.9; TR-BDF2: Hosea & Shampine, doi:10.1016/0168-9274(95)00115-8.
// Pure: numbers in, numbers out, no document.
"use strict";

const Solver = (() => {
  const { F, R, T, V_e, V_0, V_metal } = Settings.CONSTANTS;
  const EMPTY = 1e-3; // of c0: a face below is depleted, as in the package
  const FULL = 0.999; // of 1/V_e: no room left for solvent
  const S_END = 1.2; // L^2/D: slowest mode down to exp(-1.2 pi^2)
  const TOLERANCE = 1e-4; // of one time step, relative to how far the salt can move
  const MOST_STEPS = 4000;
  const D_STEP = 1 - Math.SQRT1_2; // TR-BDF2: weight of the new slope in both stages
  const W_STEP = Math.SQRT2 / 4;

  // ---- the numbers that matter -----------------------------------------------------------------------------------

  function groups(p) {
    const c0 = 1 / (V_e + V_0 / p.r);
    const anions = 1 - p.t_plus;
    const R_b = p.thickness / p.kappa;
    const Ne = (2 * R * T * anions * anions * p.chi * p.kappa) / (F * F * p.D * c0);
    const K = ((2 * R * T) / F) * anions * p.chi;
    const B = (Ne * R_b) / (R_b + p.R_int);
    return {
      c0, R_b, Ne, K, B,
      phi_e: c0 * V_e,
      phi: p.motion ? c0 * V_e : 0,
      drive: p.V / K,
      J_0: (B * p.V) / K,
      i_unit: (F * p.D * c0) / (p.thickness * anions), // i = i_unit J
      t_unit: (p.thickness * p.thickness) / p.D,
    };
  }

  // Wall values [c0] of the steady profile that carries J, and how much m differs: 1 - phi u = w_0 exp(phi J x).
  function steadyWalls(J, phi) {
    const a = phi * J;
    if (a < 1e-9) return { u_0: 1 + J / 2, u_1: 1 - J / 2, span: Math.log((1 + J / 2) / (1 - J / 2)) };
    const w_0 = ((1 - phi) * a) / Math.expm1(a);
    const w_1 = ((1 - phi) * a) / -Math.expm1(-a);
    const u_0 = (1 - w_0) / phi, u_1 = (1 - w_1) / phi;
    return { u_0, u_1, span: Math.log(u_0 / w_0) - Math.log(u_1 / w_1) };
  }

  // Root of a rising function between low and high.
  function bisect(f, low, high) {
    for (let k = 0; k < 200 && high - low > 1e-15 * high; k++) {
      const middle = 0.5 * (low + high);
      if (f(middle) > 0) high = middle;
      else low = middle;
    }
    return 0.5 * (low + high);
  }

  // What is known without a time step.
  function closed(p) {
    const g = groups(p);
    const J_lim = g.phi < 1e-9 ? 2 : bisect((J) => 1 - g.phi + Math.expm1(-g.phi * J) / (g.phi * J), 1, 2 / (1 - g.phi));
    const J_ss = bisect((J) => {
      const { u_1, span } = steadyWalls(J, g.phi);
      return u_1 > 0 ? J / g.B + span - g.drive : 1;
    }, 0, J_lim);
    const walls = steadyWalls(J_ss, g.phi);
    const R_int = p.R_int, rho = 1 / (1 + g.Ne);
    return {
      ...g,
      i_0: p.V / (g.R_b + R_int),
      rho_plus: rho,
      ratio_small: (g.R_b + R_int) / (g.R_b / rho + R_int), // i_ss/i_0 for a small voltage
      i_ss: J_ss * g.i_unit,
      ratio: J_ss / g.J_0,
      i_lim: J_lim * g.i_unit,
      c_0_ss: walls.u_0 * g.c0,
      c_L_ss: Math.max(walls.u_1, 0) * g.c0,
      depletes: walls.u_1 < EMPTY,
    };
  }

  // ---- the grid --------------------------------------------------------------------------------------------------

  // Faces from 0 to 1, symmetric; density of cells g + 1/(x + fine) towards either wall.
  function makeGrid(fine, growth) {
    const g = 10;
    const total = Math.log1p(0.5 / fine) + 0.5 * g;
    const half = Math.ceil(total / growth), n = 2 * half;
    const faces = new Float64Array(n + 1);
    let x = 0;
    for (let k = 1; k < half; k++) {
      const want = (total * k) / half;
      for (let it = 0; it < 50; it++) {
        const step = (Math.log1p(x / fine) + g * x - want) / (1 / (x + fine) + g);
        const next = Math.max(x - step, 0);
        const done = Math.abs(next - x) <= 1e-14 * next;
        x = next;
        if (done) break;
      }
      faces[k] = x;
    }
    const h = new Float64Array(n);
    for (let k = 0; k < half; k++) {
      h[k] = h[n - 1 - k] = (k + 1 < half ? faces[k + 1] : 0.5) - faces[k];
    }
    faces[half] = 0.5;
    for (let k = 0; k <= half; k++) faces[n - k] = 1 - faces[k];
    const gap = new Float64Array(n + 1), left = new Float64Array(n + 1);
    for (let k = 1; k < n; k++) {
      gap[k] = 2 / (h[k - 1] + h[k]); // slope at face k: gap (u[k] - u[k-1])
      left[k] = h[k] / (h[k - 1] + h[k]); // value there: left u[k-1] + (1 - left) u[k]
    }
    // a parabola through the averages of the two cells at the wall and its slope: value = base + weight slope
    const h_1 = h[0], h_2 = h[1];
    const spread = ((h_1 + h_2) ** 3 - h_1 ** 3) / (3 * h_2) - (h_1 * h_1) / 3;
    const mix = (h_1 * h_1) / (3 * spread);
    const weight = -h_1 / 2 + (h_1 * h_1 * (h_1 + h_2)) / (6 * spread);
    return { n, faces, h, gap, left, mix, weight };
  }

  // Wall values of averages u at flux J; dc/dx = -J (1 - phi u) at both walls.
  const wallLeft = (base, wJ, phi) => (base - wJ) / (1 - wJ * phi);
  const wallRight = (base, wJ, phi) => (base + wJ) / (1 + wJ * phi);

  // ---- current ---------------------------------------------------------------------------------------------------

  // J for which the voltage law holds along averages u + d + (J - J_k) e, given by their wall bases.
  function findJ(grid, q, base, J_k) {
    const { phi, B, drive } = q, w = grid.weight;
    const miss = (J) => {
      const u_0 = wallLeft(base.l + (J - J_k) * base.lg, w * J, phi);
      const u_1 = wallRight(base.r + (J - J_k) * base.rg, w * J, phi);
      if (!(u_1 > 0)) return Infinity;
      if (!(u_0 > 0)) return -Infinity;
      const w_0 = 1 - phi * u_0, w_1 = 1 - phi * u_1;
      if (!(w_0 > 0)) return Infinity;
      if (!(w_1 > 0)) return -Infinity;
      return J / B - drive + Math.log((u_0 * w_1) / (u_1 * w_0));
    };
    const scale = Math.max(Math.abs(J_k), 1e-3 * q.J_0);
    let a = J_k, f_a = miss(a), b = J_k + 1e-4 * scale, f_b = miss(b);
    for (let it = 0; it < 12 && Number.isFinite(f_a) && Number.isFinite(f_b) && f_a !== f_b; it++) {
      const next = b - (f_b * (b - a)) / (f_b - f_a);
      a = b; f_a = f_b;
      b = next; f_b = miss(b);
      if (Math.abs(b - a) <= 1e-11 * scale) return b;
    }
    let low = J_k, high = J_k, reach = scale;
    for (let k = 0; k < 60 && !(miss(low) < 0); k++, reach *= 2) low -= reach;
    reach = scale;
    for (let k = 0; k < 60 && !(miss(high) > 0); k++, reach *= 2) high += reach;
    if (!(miss(low) < 0 && miss(high) > 0)) return NaN;
    for (let k = 0; k < 100 && high - low > 1e-13 * scale; k++) {
      const middle = 0.5 * (low + high);
      if (miss(middle) > 0) high = middle;
      else low = middle;
    }
    return 0.5 * (low + high);
  }

  function bases(grid, u, gain) {
    const { n, mix } = grid;
    const at = (v, near, next) => v[near] - mix * (v[next] - v[near]);
    return {
      l: at(u, 0, 1), r: at(u, n - 1, n - 2),
      lg: gain ? at(gain, 0, 1) : 0, rg: gain ? at(gain, n - 1, n - 2) : 0,
    };
  }

  function walls(grid, q, u, J) {
    const b = bases(grid, u, null), wJ = grid.weight * J;
    return [wallLeft(b.l, wJ, q.phi), wallRight(b.r, wJ, q.phi)];
  }

  // ---- one stage -------------------------------------------------------------------------------------------------

  // du/ds of averages u at flux J into out; a difference of face fluxes, so no salt is lost.
  function rate(grid, q, u, J, out) {
    const { n, h, gap, left } = grid, phi = q.phi;
    let before = 0;
    for (let k = 0; k < n; k++) {
      let flow = 0;
      if (k + 1 < n) {
        const f = k + 1;
        flow = gap[f] * (u[f] - u[k]) + J * (1 - phi * (left[f] * u[k] + (1 - left[f]) * u[f]));
      }
      out[k] = (flow - before) / h[k];
      before = flow;
    }
  }

  // u = known + step rate(u, J(u)) by Newton, current and concentration together; the current, or NaN. One pass down
  // assembles and eliminates the tridiagonal matrix I - step d(rate)/du with both right-hand sides, one pass up solves.
  function stage(grid, q, known, step, u, J, m, work) {
    const { n, h, gap, left } = grid, { change, gain } = work, { low, up, inverse } = m, phi = q.phi;
    for (let it = 0; it < 12; it++) {
      const phiJ = phi * J;
      let flow = 0, part = 0, a = 0, b = 0; // at the left face: flux, its share per J, and what it takes from either cell
      let up_1 = 0, inverse_1 = 0, change_1 = 0, gain_1 = 0; // of the row before
      let here = u[0];
      for (let k = 0; k < n; k++) {
        const scale = step / h[k], flow_0 = flow, part_0 = part, a_0 = a, b_0 = b, mine = here;
        if (k + 1 < n) {
          const g = gap[k + 1], l = left[k + 1];
          here = u[k + 1];
          part = 1 - phi * (l * mine + (1 - l) * here);
          flow = g * (here - mine) + J * part;
          a = g + phiJ * l;
          b = g - phiJ * (1 - l);
        } else flow = part = a = b = 0;
        const lower = -scale * a_0 * inverse_1;
        const rest = known[k] - mine + scale * (flow - flow_0) - lower * change_1;
        const rise = scale * (part - part_0) - lower * gain_1;
        inverse_1 = 1 / (1 + scale * (b_0 + a) - lower * up_1);
        up_1 = -scale * b;
        low[k] = lower;
        up[k] = up_1;
        inverse[k] = inverse_1;
        change[k] = change_1 = rest;
        gain[k] = gain_1 = rise;
      }
      change_1 = gain_1 = 0;
      for (let k = n - 1; k >= 0; k--) {
        change_1 = (change[k] - up[k] * change_1) * inverse[k];
        gain_1 = (gain[k] - up[k] * gain_1) * inverse[k];
        change[k] = u[k] + change_1;
        gain[k] = gain_1;
      }
      const J_new = findJ(grid, q, bases(grid, change, gain), J);
      if (!Number.isFinite(J_new)) return NaN;
      const dJ = J_new - J;
      for (let k = 0; k < n; k++) u[k] = change[k] + dJ * gain[k];
      J = J_new;
      // linear but for phi J u: what is left is of the order of the square of the change
      if (phi === 0 || Math.abs(dJ) <= 2e-4 * Math.max(Math.abs(J), 1e-3 * q.J_0)) return J;
    }
    return NaN;
  }

  // Solves with the matrix of the last stage.
  function substitute(m, x) {
    const n = x.length;
    for (let k = 1; k < n; k++) x[k] -= m.low[k] * x[k - 1];
    x[n - 1] *= m.inverse[n - 1];
    for (let k = n - 2; k >= 0; k--) x[k] = (x[k] - m.up[k] * x[k + 1]) * m.inverse[k];
  }

  // ---- time ------------------------------------------------------------------------------------------------------

  // One TR-BDF2 step from (u, slope) over ds: new u, slope, current, error over tolerance; null where Newton fails.
  function advance(grid, q, from, ds, m, work) {
    const n = grid.n, d = D_STEP * ds, known = work.known;
    const u = from.u.slice(), middle = work.middle;
    for (let k = 0; k < n; k++) known[k] = from.u[k] + d * from.slope[k];
    let J = stage(grid, q, known, d, u, from.J, m, work);
    if (!Number.isFinite(J)) return null;
    for (let k = 0; k < n; k++) {
      middle[k] = (u[k] - known[k]) / d; // slope at the middle point
      known[k] = from.u[k] + W_STEP * ds * (from.slope[k] + middle[k]);
    }
    J = stage(grid, q, known, d, u, J, m, work);
    if (!Number.isFinite(J)) return null;
    const slope = new Float64Array(n), miss = work.change;
    for (let k = 0; k < n; k++) {
      slope[k] = (u[k] - known[k]) / d;
      miss[k] = (ds / 3) * ((1 - 4 * W_STEP) * from.slope[k] + middle[k] + (-2 * D_STEP) * slope[k]);
    }
    substitute(m, miss);
    let error = 0;
    for (let k = 0; k < n; k++) {
      const weight = Math.sqrt(Math.min(Math.max(u[k], EMPTY), 1)); // the voltage rides on ln c
      error = Math.max(error, Math.abs(miss[k]) / weight);
    }
    return { s: from.s + ds, u, slope, J, error: error / q.tolerance, wall: walls(grid, q, u, J) };
  }

  // The whole polarisation of a setting.
  function solve(p, options = {}) {
    const g = closed(p);
    const sharp = Math.max(g.B, g.J_0, 4);
    const grid = makeGrid((options.fine || 0.03) / sharp, options.growth || (g.depletes ? 0.04 : g.drive > 4 ? 0.08 : 0.13));
    const n = grid.n, blank = () => new Float64Array(n);
    const reachable = Math.min(1, (0.5 * g.J_0) / (1 + g.B)); // how far the salt can move
    const q = { ...g, tolerance: (options.tolerance || TOLERANCE) * reachable };
    const m = { low: blank(), up: blank(), inverse: blank() };
    const work = { change: blank(), gain: blank(), known: blank(), middle: blank() };
    let now = { s: 0, u: blank().fill(1), slope: blank(), J: g.J_0, wall: [1, 1] };
    rate(grid, q, now.u, g.J_0, now.slope);
    const kept = [now];
    let ds = 0.1 * grid.h[0] * grid.h[0], status = "steady", tries = 0;
    while (now.s < S_END) {
      if (++tries > MOST_STEPS) { status = "not_converged"; break; }
      if (now.s + 1.01 * ds > S_END) ds = S_END - now.s;
      const next = advance(grid, q, now, ds, m, work);
      if (next === null) {
        ds *= 0.25;
        if (ds < 1e-14 * now.s) { status = "not_converged"; break; }
        continue;
      }
      if (next.error > 1) { ds *= Math.max(0.2, 0.9 * Math.pow(next.error, -1 / 3)); continue; }
      if (next.wall[1] < EMPTY || next.wall[0] * g.phi_e > FULL) {
        status = next.wall[1] < EMPTY ? "depleted" : "saturated";
        now = locate(grid, q, now, next, status, m, work);
        kept.push(now);
        break;
      }
      now = next;
      kept.push(now);
      ds *= Math.min(2.5, 0.9 * Math.pow(Math.max(next.error, 1e-9), -1 / 3));
    }
    return {
      setting: { ...p }, closed: g, grid, q, status, kept,
      time: Float64Array.from(kept, (k) => k.s * g.t_unit),
      i: Float64Array.from(kept, (k) => k.J * g.i_unit),
      t_end: now.s * g.t_unit,
    };
  }

  // The step, made shorter, that ends where the limit is met.
  function locate(grid, q, from, to, status, m, work) {
    const limit = status === "depleted" ? EMPTY : FULL / q.phi_e, side = status === "depleted" ? 1 : 0;
    const over = (state) => Math.log(state.wall[side] / limit) * (side ? 1 : -1); // positive while all is well
    let low = 0, high = to.s - from.s, f_low = over(from), f_high = over(to), best = to;
    for (let k = 0; k < 40 && Math.abs(over(best)) > 1e-6; k++) {
      const part = k % 3 === 2 ? 0.5 : Settings.clip(f_low / (f_low - f_high), 0.02, 0.98);
      const ds = low + part * (high - low);
      const state = advance(grid, q, from, ds, m, work);
      if (state === null) break;
      best = state;
      if (over(state) > 0) { low = ds; f_low = over(state); } else { high = ds; f_high = over(state); }
    }
    return best;
  }

  // ---- what one sees ---------------------------------------------------------------------------------------------

  // State at a time [s], between the kept ones by cubics in time.
  function stateAt(result, time) {
    const { kept, q, grid } = result, s = Settings.clip(time / q.t_unit, 0, kept[kept.length - 1].s);
    let low = 0, high = kept.length - 1;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (kept[middle].s <= s) low = middle;
      else high = middle;
    }
    const a = kept[low], b = kept[high];
    if (s === a.s || low === high) return a;
    if (s === b.s) return b;
    const ds = b.s - a.s, y = (s - a.s) / ds, z = 1 - y;
    const A = z * z * (1 + 2 * y), A1 = y * z * z * ds, Bq = y * y * (3 - 2 * y), B1 = -y * y * z * ds;
    const u = a.u.map((value, k) => A * value + A1 * a.slope[k] + Bq * b.u[k] + B1 * b.slope[k]);
    let J = z * a.J + y * b.J;
    const exact = findJ(grid, q, bases(grid, u, null), J);
    if (Number.isFinite(exact)) J = exact;
    return { s, u, J, wall: walls(grid, q, u, J) };
  }

  // Concentration, fluxes and velocities at a time [s]; velocities in the interface frame [m/s].
  function at(result, time) {
    const { grid, q, setting } = result, { n, faces, gap, left } = grid;
    const state = stateAt(result, time), { u, J, wall } = state, i = J * q.i_unit;
    const x = new Float64Array(n + 1), c = new Float64Array(n + 1), plus = new Float64Array(n + 1);
    const minus = new Float64Array(n + 1), solvent = new Float64Array(n + 1);
    const flux_unit = (setting.D * q.c0) / setting.thickness;
    for (let f = 0; f <= n; f++) {
      const inside = f > 0 && f < n;
      const value = inside ? left[f] * u[f - 1] + (1 - left[f]) * u[f] : f === 0 ? wall[0] : wall[1];
      const N = inside ? -flux_unit * (gap[f] * (u[f] - u[f - 1]) + J * (1 - q.phi * value)) : 0;
      x[f] = faces[f] * setting.thickness;
      c[f] = value * q.c0;
      minus[f] = N / c[f];
      plus[f] = (N + i / F) / c[f];
      solvent[f] = setting.motion ? (-V_e * N) / (1 - c[f] * V_e) : 0; // N_0/c_0, N_0 = -(V_e/V_0) N
    }
    return { time: state.s * q.t_unit, i, x, c, plus, minus, solvent, v_s: (-i * V_metal) / F };
  }

  // Velocities of a profile in a frame: "interface", "lab" or "solvent".
  function inFrame(profile, frame) {
    const move = (v) => v.map((value, k) =>
      frame === "lab" ? value + profile.v_s : frame === "solvent" ? value - profile.solvent[k] : value);
    return { plus: move(profile.plus), minus: move(profile.minus), solvent: move(profile.solvent) };
  }

  // Salt per area less what was put in, relative: round-off.
  function saltDrift(result) {
    const { h } = result.grid;
    let worst = 0;
    for (const { u } of result.kept) {
      let sum = 0;
      for (let k = 0; k < u.length; k++) sum += h[k] * u[k];
      worst = Math.max(worst, Math.abs(sum - 1));
    }
    return worst;
  }

  // When the current is within `left` of the steady one for good [s]; of a run that ended steady.
  function settlingTime(result, left) {
    const off = (i) => Math.abs(i / result.closed.i_ss - 1) > left;
    let k = result.i.length - 1;
    while (k >= 0 && !off(result.i[k])) k--;
    if (k < 0) return 0;
    let low = result.time[k], high = result.time[Math.min(k + 1, result.i.length - 1)];
    for (let it = 0; it < 40; it++) {
      const middle = 0.5 * (low + high);
      if (off(at(result, middle).i)) low = middle;
      else high = middle;
    }
    return high;
  }

  return Object.freeze({ groups, closed, solve, at, settlingTime, inFrame, saltDrift, EMPTY, FULL, S_END });
})();
