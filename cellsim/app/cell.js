// The cell drawn: its electrodes, the salt as shade, and dots that ride with the anions and with the solvent.
"use strict";

const Cell = (() => {
  const DOTS = 16, SHADES = 48;

  // Where `count` dots are that were evenly spread at first and move with a species: between the left electrode, which that
  // species does not cross, and a dot there is always the same amount of it. So no path has to be followed in time.
  function places(x, amount, count) {
    const sum = new Float64Array(x.length);
    for (let k = 1; k < x.length; k++) sum[k] = sum[k - 1] + 0.5 * (amount[k] + amount[k - 1]) * (x[k] - x[k - 1]);
    const total = sum[x.length - 1], found = [];
    for (let d = 0, k = 1; d < count; d++) {
      const want = (total * (d + 0.5)) / count;
      while (k < x.length - 1 && sum[k] < want) k++;
      found.push(x[k - 1] + ((x[k] - x[k - 1]) * (want - sum[k - 1])) / (sum[k] - sum[k - 1]));
    }
    return found;
  }

  // Dots of a profile, as fractions of the thickness.
  function tracers(profile, setting) {
    const { x, c } = profile, L = x[x.length - 1], V_e = Settings.CONSTANTS.V_e;
    const rest = setting.motion ? c.map((value) => 1 - value * V_e) : c.map(() => 1);
    return { anions: places(x, c, DOTS).map((y) => y / L), solvent: places(x, rest, DOTS).map((y) => y / L) };
  }

  function draw(svg, result, profile, words) {
    const [width, height] = Plot.sizeOf(svg), put = Plot.add;
    const side = 46, inner = width - 2 * side, top = 4, deep = height - 26, at = (part) => side + inner * part;
    svg.replaceChildren();
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    put(svg, "title", {}, "The cell");
    put(svg, "desc", {}, words.desc);
    const { x, c } = profile, L = x[x.length - 1], most = Math.max(...c, 2 * result.closed.c0);
    const shade = put(put(svg, "defs", {}), "linearGradient", { id: "cell-salt" });
    for (let k = 0, f = 0; k <= SHADES; k++) {
      while (f < x.length - 1 && x[f] < (k * L) / SHADES) f++;
      put(shade, "stop", { offset: (k / SHADES).toFixed(4), "stop-color": "var(--blue)", "stop-opacity": (0.05 + 0.5 * (c[f] / most)).toFixed(3) });
    }
    put(svg, "rect", { x: side, y: top, width: inner, height: deep, fill: "url(#cell-salt)" });
    for (const left of [0, width - side]) put(svg, "rect", { x: left, y: top, width: side, height: deep, class: "metal" });
    put(svg, "text", { x: side / 2, y: top + deep / 2 + 4, "text-anchor": "middle" }, "Li");
    put(svg, "text", { x: width - side / 2, y: top + deep / 2 + 4, "text-anchor": "middle" }, "Li");
    const dots = tracers(profile, result.setting), row = (part, k) => top + deep * (part + (k % 2 ? 0.09 : -0.09));
    dots.solvent.forEach((part, k) => put(svg, "circle", { cx: at(part).toFixed(1), cy: row(0.28, k), r: 4.5, fill: "var(--paper)", stroke: "var(--green)", "stroke-width": 2 }));
    dots.anions.forEach((part, k) => put(svg, "circle", { cx: at(part).toFixed(1), cy: row(0.74, k), r: 4.5, fill: "var(--blue)", stroke: "var(--paper)", "stroke-width": 1 }));
    const long = (inner * 0.5 * profile.i) / result.closed.i_0, y = top + deep * 0.51, tip = at(0.5) + long / 2;
    put(svg, "path", { d: `M${at(0.5) - long / 2} ${y}H${tip}m-7 -4l7 4l-7 4`, fill: "none", stroke: "var(--red)", "stroke-width": 2 });
    put(svg, "text", { x: 0, y: height - 6 }, "dissolves (+)");
    put(svg, "text", { x: width, y: height - 6, "text-anchor": "end" }, "plates (−)");
    put(svg, "text", { x: width / 2, y: height - 6, "text-anchor": "middle" }, words.below);
  }

  return Object.freeze({ draw, tracers });
})();
