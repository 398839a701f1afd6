// Draws the page from the JSON beside it. Text reaches the page as text alone: textContent, attributes, and data of charts.
(() => {
"use strict";

const byId = (id) => document.getElementById(id);
const read = (id) => { const held = byId(id); return held ? JSON.parse(held.textContent) : null; };
const data = read("data"), letters = read("letters");
const marks = data.marks, methods = data.methods, pairs = data.pairs, loci = data.loci;
const ARROW = " \u2192 ", ROWS = 25, LABELLED = 60;
const BLUE = "#3182bd", ORANGE = "#d95f02", GREY = "#888888";
const LINES = ["#d95f02", "#3182bd", "#009e73", "#cc79a7", "#b8860b", "#56b4e9", "#7a5fb0", "#888888"];
const BASES = { A: "#009e73", C: "#3182bd", G: "#e69f00", T: "#d55e00" };
const SIGNS = { green: "\u25cf", amber: "\u25b2", red: "\u25a0", none: "\u2013" };

function make(tag, properties = {}, ...children) {
  const { attributes = {}, ...own } = properties;
  const made = Object.assign(document.createElement(tag), own);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

function shown(x) {
  if (x === null || x === undefined) return "NA";
  if (typeof x === "string" || Number.isInteger(x)) return String(x);
  const size = Math.abs(x);
  return size !== 0 && (size < 1e-3 || size >= 1e5) ? x.toExponential(2) : String(Number(x.toPrecision(4)));
}

const [LOWERS, RAISES] = ["#d55e00", "#0072b2"]; // as in plots/axes.py
const shownP = (p) => (p === null ? "NA" : p < 1e-300 ? "<1e-300" : shown(p));
const between = (low, high) => `[${shown(low)}, ${shown(high)}]`;
const pairName = ([x, y]) => marks[x] + ARROW + marks[y];
const range = (n) => Array.from({ length: n }, (_, i) => i);
const known = (values) => values.filter((v) => v !== null && v !== undefined);

function quantile(sorted, q) {
  const at = (sorted.length - 1) * q, low = Math.floor(at);
  return sorted[low] + (at - low) * ((sorted[low + 1] ?? sorted[low]) - sorted[low]);
}

// Limits that a few wild values do not set: six quartile distances about the middle half.
function limits(values, also = []) {
  const sorted = known(values).sort((a, b) => a - b);
  if (!sorted.length) return [-1, 1];
  const q1 = quantile(sorted, 0.25), q3 = quantile(sorted, 0.75), far = 6 * (q3 - q1);
  const ends = [Math.max(sorted[0], q1 - far), Math.min(sorted[sorted.length - 1], q3 + far), ...known(also)];
  const low = Math.min(...ends), high = Math.max(...ends), room = 0.03 * (high - low) || Math.abs(low) * 0.1 || 1;
  return [low - room, high + room];
}

// ---------------------------------------------------------------- charts

const config = () => ({
  background: "transparent", font: "system-ui, sans-serif", view: { stroke: "currentColor", strokeOpacity: 0.25 },
  axis: { labelColor: "currentColor", titleColor: "currentColor", tickColor: "currentColor", domainColor: "currentColor",
    gridColor: "currentColor", gridOpacity: 0.12, labelFontSize: 11, titleFontWeight: "normal" },
  legend: { labelColor: "currentColor", titleColor: "currentColor", titleFontWeight: "normal" },
  title: { color: "currentColor", fontWeight: "normal" }, text: { color: "currentColor" },
});
const drawn = new Map();
let drawing = 0;

// The interpreter (ast) in place of compiled expressions: the page's policy allows no eval.
async function draw(id, spec, { many = 0, onClick } = {}) {
  const turn = ++drawing;
  drawn.set(id, { turn, again: () => draw(id, spec, { many, onClick }) });
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const holder = make("div");
  const schema = spec.marks ? "vega/v6" : "vega-lite/v6";
  const result = await vegaEmbed(holder, { $schema: `https://vega.github.io/schema/${schema}.json`, ...spec }, {
    ast: true, renderer: many > 3000 ? "canvas" : "svg", config: config(), tooltip: { theme: dark ? "dark" : "light" },
    actions: { export: true, source: false, compiled: false, editor: false } });
  if (drawn.get(id).turn !== turn) return result.finalize();
  drawn.get(id).finalize?.();
  drawn.get(id).finalize = () => result.finalize();
  byId(id).replaceChildren(holder);
  await result.view.resize().runAsync();
  if (onClick) result.view.addEventListener("click", (event, item) => item && item.datum && onClick(item.datum));
}

function nothing(id, why) {
  drawn.set(id, { turn: ++drawing, again: () => {} });
  byId(id).replaceChildren(make("p", { textContent: why }));
}

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => [...drawn.values()].forEach((c) => c.again()));

const rule = (axis, value, color = ORANGE, dash = []) => ({ data: { values: value === null || value === undefined ? [] : [{ value }] },
  mark: { type: "rule", color, strokeDash: dash, strokeWidth: 1.5, clip: true }, encoding: { [axis]: { field: "value", type: "quantitative" } } });
const quantitative = (field, title, domain) => ({ field, type: "quantitative", title, scale: domain ? { domain, zero: false, nice: false } : { zero: false } });
const told = (...rows) => rows.map(([field, title]) => ({ field, title, type: "nominal" }));

// ---------------------------------------------------------------- tables

// columns: { title, value(row), text: bool, show(value) }; rows are numbers 0 to n - 1.
class DataTable {
  constructor(id, { caption, columns, n, onChoose, filter }) {
    Object.assign(this, { id, columns, n, onChoose, sorted: null, down: false, page: 0, chosen: null });
    this.words = null;
    this.search = make("input", { type: "search", attributes: { "aria-label": `Search: ${caption}`, placeholder: "Search" }, oninput: () => this.update() });
    const controls = make("div", { className: "controls" }, this.search);
    if (filter) {
      this.only = make("input", { type: "checkbox", onchange: () => this.update() });
      this.keep = filter.keep;
      controls.append(make("label", {}, this.only, " " + filter.label));
    }
    this.back = make("button", { type: "button", textContent: "Previous", onclick: () => this.turn(-1) });
    this.forth = make("button", { type: "button", textContent: "Next", onclick: () => this.turn(1) });
    this.count = make("span", { attributes: { "aria-live": "polite" } });
    const pager = make("div", { className: "controls pager" }, this.back, this.forth, this.count);
    this.head = make("tr");
    this.body = make("tbody");
    columns.forEach((column, i) => this.head.append(make("th", { className: column.text ? "text" : "", attributes: { scope: "col", "aria-sort": "none" } },
      make("button", { type: "button", className: "plain", textContent: column.title, onclick: () => this.sortBy(i) }))));
    const table = make("table", {}, make("caption", { textContent: caption }), make("thead", {}, this.head), this.body);
    byId(id).replaceChildren(controls, make("div", { className: "table", attributes: { tabindex: "0", role: "group", "aria-label": caption } }, table), pager);
    this.update();
  }

  sortBy(i) {
    this.down = this.sorted === i ? !this.down : !this.columns[i].text;
    this.sorted = i;
    this.update();
  }

  turn(by) {
    this.page += by;
    this.fill();
  }

  update() {
    const wanted = this.search.value.toLowerCase().split(/\s+/).filter(Boolean);
    if (wanted.length && !this.words) {
      const text = this.columns.filter((c) => c.text);
      this.words = range(this.n).map((row) => text.map((c) => c.value(row)).join("\n").toLowerCase());
    }
    this.rows = range(this.n).filter((row) => (!this.only || !this.only.checked || this.keep(row))
      && wanted.every((word) => this.words[row].includes(word)));
    if (this.sorted !== null) {
      const { value } = this.columns[this.sorted], sign = this.down ? -1 : 1;
      const keys = new Map(this.rows.map((row) => [row, value(row)]));
      const missing = (k) => k === null || k === undefined;
      this.rows.sort((a, b) => {
        const x = keys.get(a), y = keys.get(b);
        if (missing(x) || missing(y)) return missing(x) - missing(y) || a - b;
        return (x < y ? -sign : x > y ? sign : 0) || a - b;
      });
    }
    [...this.head.children].forEach((cell, i) => cell.setAttribute("aria-sort", this.sorted !== i ? "none" : this.down ? "descending" : "ascending"));
    this.page = 0;
    this.fill();
  }

  fill() {
    const first = this.page * ROWS, here = this.rows.slice(first, first + ROWS), total = this.rows.length;
    this.body.replaceChildren(...here.map((row) => this.line(row)));
    this.back.disabled = !this.page;
    this.forth.disabled = first + ROWS >= total;
    const of = total < this.n ? ` (of ${this.n.toLocaleString("en")})` : "";
    this.count.textContent = total ? `${(first + 1).toLocaleString("en")} to ${(first + here.length).toLocaleString("en")} of ${total.toLocaleString("en")}${of}` : `no row${of}`;
  }

  line(row) {
    const choose = this.onChoose && this.onChoose(row);
    return make("tr", { className: row === this.chosen ? "chosen" : "" }, ...this.columns.map((column, i) => {
      const text = (column.show || shown)(column.value(row));
      const cell = make("td", { className: column.text ? "text" : "" });
      if (choose && !i) cell.append(make("button", { type: "button", className: "go", textContent: text, onclick: () => { this.chosen = row; this.fill(); choose(); } }));
      else cell.textContent = text;
      return cell;
    }));
  }
}

// ---------------------------------------------------------------- verdicts

function showVerdicts() {
  const told = data.verdicts;
  byId("verdict-none").textContent = told.none ? `No verdicts: ${told.none}.` : "";
  byId("verdict-text").hidden = byId("network-figure").hidden = true;
  if (told.none) return;
  byId("verdict-text").hidden = false;
  const column = (title, name, text, show) => ({ title, text, value: (i) => told[name][i], show });
  new DataTable("verdict-table", {
    caption: "A verdict for every pair, strongest first", n: told.verdict.length,
    filter: { label: "direct effects only", keep: (i) => told.verdict[i] === "direct effect" },
    columns: [column("exposure", "exposure", true), column("outcome", "outcome", true), column("verdict", "verdict", true),
      column("sd per sd", "standardised", false), column("q", "qvalue", false, shownP), column("reason", "reason", true)],
    onChoose: (i) => choice(marks.indexOf(told.exposure[i]), marks.indexOf(told.outcome[i])),
  });
  if (data.network) {
    byId("network-figure").prepend(make("img", { id: "network-image", className: "network", src: data.network, alt: "The causal network: direct effects between the marks" }));
    byId("network-figure").hidden = false;
  }
}

// ---------------------------------------------------------------- global effects

const all = data.global;
const rowsOf = new Map(methods.map((_, m) => [m, []]));
all.method.forEach((m, row) => rowsOf.get(m).push(row));
const significant = (row) => all.qvalue[row] !== null && all.qvalue[row] < data.false_discovery_rate;
const detailOf = new Map(pairs.map(([x, y], i) => [`${x},${y}`, i]));
const globalRow = new Map(all.method.map((m, row) => [`${m},${all.exposure[row]},${all.outcome[row]}`, row]));
const chosen = { method: 0, pair: 0, locus: null };

function showGlobal() {
  const rows = rowsOf.get(chosen.method);
  const column = (title, name, show) => ({ title, value: (i) => all[name][rows[i]], show });
  new DataTable("global-table", {
    caption: `Global effects, ${methods[chosen.method]}`, n: rows.length,
    filter: { label: `significant only (false discovery rate ${100 * data.false_discovery_rate} %)`, keep: (i) => significant(rows[i]) },
    columns: [{ title: "exposure", text: true, value: (i) => marks[all.exposure[rows[i]]] },
      { title: "outcome", text: true, value: (i) => marks[all.outcome[rows[i]]] },
      column("loci", "n_loci"), column("effect", "estimate"), column("se", "se"), column("95 % low", "ci_low"),
      column("95 % high", "ci_high"), column("p", "pvalue", shownP), column("p adjusted", "qvalue", shownP),
      column("\u03c4 between loci", "tau"), column("I\u00b2", "i2")],
    onChoose: (i) => choice(all.exposure[rows[i]], all.outcome[rows[i]]),
  });
  if (data.matrix) showMatrix();
  else drawHeatmap(rows);
}

const choice = (x, y) => (detailOf.has(`${x},${y}`) ? () => { showPair(detailOf.get(`${x},${y}`)); byId("pair").scrollIntoView(); } : null);

function drawHeatmap(rows) {
  const present = rows.filter((row) => all.estimate[row] !== null);
  const sizes = present.map((row) => Math.abs(all.estimate[row])).sort((a, b) => a - b);
  if (!sizes.length) return nothing("heatmap", "No pair has an estimate.");
  const most = quantile(sizes, 0.98) || sizes[sizes.length - 1] || 1;
  const values = present.map((row) => ({ row, x: marks[all.outcome[row]], y: marks[all.exposure[row]], effect: all.estimate[row],
    pair: pairName([all.exposure[row], all.outcome[row]]), told: `${shown(all.estimate[row])} ${between(all.ci_low[row], all.ci_high[row])}`,
    p: shownP(all.qvalue[row]), loci: all.n_loci[row], dot: significant(row) ? "\u25cf" : "",
    strong: Math.abs(all.estimate[row]) > 0.55 * most }));
  const [exposures, outcomes] = [all.exposure, all.outcome].map((role) => [...new Set(rows.map((r) => role[r]))].sort((a, b) => a - b));
  const step = Math.max(6, Math.min(44, Math.floor(820 / Math.max(exposures.length, outcomes.length))));
  const labels = { labelLimit: 300, labelOverlap: step < 11, labelFontSize: Math.max(7, Math.min(11, step)) };
  const place = (field, title, names, more) => ({ field, type: "nominal", title, scale: { domain: names.map((m) => marks[m]) }, axis: { ...labels, ...more } });
  draw("heatmap", {
    description: `Global effects of ${exposures.length} exposures on ${outcomes.length} outcomes`,
    data: { values }, width: { step }, height: { step },
    encoding: { x: place("x", "outcome", outcomes, { orient: "top", labelAngle: -60 }), y: place("y", "exposure", exposures),
      tooltip: told(["pair", "pair"], ["told", "effect"], ["p", "p adjusted"], ["loci", "loci"]) },
    layer: [{ mark: { type: "rect", cursor: "pointer" }, encoding: {
      color: { field: "effect", type: "quantitative", title: "effect", scale: { range: [LOWERS, "#f7f7f7", RAISES], domain: [-most, 0, most], clamp: true } } } },
    { mark: { type: "text", fontSize: Math.max(4, step / 4), cursor: "pointer" }, encoding: { text: { field: "dot" }, color: { condition: { test: "datum.strong", value: "#ffffff" }, value: "#222222" } } }],
  }, { many: present.length, onClick: ({ row }) => choice(all.exposure[row], all.outcome[row])?.() });
}

// The heat map of very many marks: a canvas with one byte a cell, where words choose marks and the wheel zooms.
const matrixView = { chosen: null, from: [0, 0], size: 0 };

function showMatrix() {
  const { marks: names, most, what, left_out: leftOut } = data.matrix, n = names.length;
  if (byId("matrix")) return;
  const cells = Int8Array.from(atob(data.matrix.cells), (c) => c.charCodeAt(0) << 24 >> 24);
  const side = 820, canvas = make("canvas", { id: "matrix", width: side, height: side, attributes: { role: "img", "aria-label": `Effects of ${n} exposures (rows) on ${n} outcomes (columns)` } });
  const told = make("p", { id: "matrix-told", attributes: { "aria-live": "polite" } });
  const search = make("input", { id: "matrix-search", type: "search", attributes: { "aria-label": "Marks in the heat map", placeholder: "Marks, such as ATAC" } });
  const all = make("button", { type: "button", textContent: "All marks" });
  const view = matrixView;
  const reset = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    view.chosen = range(n).filter((i) => words.every((word) => names[i].toLowerCase().includes(word)));
    Object.assign(view, { from: [0, 0], size: view.chosen.length });
    paint();
  };
  const colour = (v) => {
    const [r, g, b] = v < 0 ? [213, 94, 0] : [0, 114, 178], part = Math.abs(v) / 127;
    return [r, g, b].map((c) => Math.round(255 + part * (c - 255)));
  };
  const palette = range(256).map((i) => (i - 128 === -128 ? [205, 205, 205] : colour(i - 128)));
  function paint() {
    const { chosen: list, from, size } = view, context = canvas.getContext("2d"), image = context.createImageData(side, side);
    for (let py = 0; py < side; py++) {
      const row = list[from[1] + Math.floor((py * size) / side)];
      for (let px = 0; px < side; px++) {
        const column = list[from[0] + Math.floor((px * size) / side)], at = 4 * (py * side + px);
        const [r, g, b] = row === undefined || row === column ? [235, 235, 235] : palette[cells[row * n + column] + 128];
        image.data.set([r, g, b, 255], at);
      }
    }
    context.putImageData(image, 0, 0);
    told.textContent = size ? `${size.toLocaleString("en")} of ${n.toLocaleString("en")} marks. Colours end at \u00b1${shown(most)} (${what}).${leftOut ? ` ${leftOut.toLocaleString("en")} marks with the smallest effects are not shown.` : ""}` : "No such mark.";
  }
  const cellAt = (event) => {
    const box = canvas.getBoundingClientRect(), { chosen: list, from, size } = view;
    const [i, j] = [event.clientX - box.left, event.clientY - box.top].map((p, k) => list[from[k] + Math.floor((p / box.width) * size)]);
    return i === undefined || j === undefined ? null : { outcome: i, exposure: j };
  };
  canvas.onmousemove = (event) => {
    const at = cellAt(event);
    if (!at || at.outcome === at.exposure) return;
    const value = cells[at.exposure * n + at.outcome];
    canvas.title = told.textContent = `${names[at.exposure]}${ARROW}${names[at.outcome]}: ${value === -128 ? "no estimate" : shown((value * most) / 127) + (Math.abs(value) === 127 ? " or more" : "")}`;
  };
  canvas.onclick = (event) => {
    const at = cellAt(event);
    if (at) choice(marks.indexOf(names[at.exposure]), marks.indexOf(names[at.outcome]))?.();
  };
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    const box = canvas.getBoundingClientRect(), n0 = view.size, total = view.chosen.length;
    const size = Math.max(Math.min(4, total), Math.min(total, Math.round(n0 * (event.deltaY > 0 ? 1.25 : 0.8))));
    view.from = [event.clientX - box.left, event.clientY - box.top].map((p, k) => {
      const part = p / box.width;
      return Math.max(0, Math.min(total - size, Math.round(view.from[k] + part * (n0 - size))));
    });
    view.size = size;
    paint();
  }, { passive: false });
  search.oninput = reset;
  all.onclick = () => { search.value = ""; reset(); };
  byId("heatmap").replaceChildren(make("div", { className: "controls" }, search, all), canvas, told);
  reset();
}

// ---------------------------------------------------------------- one pair

let pair = null;

function lightItem(colour, title, sentence) {
  return make("li", { className: colour }, make("span", { className: "sign", textContent: `${SIGNS[colour]} ${colour === "none" ? "not tested" : colour} ` }),
    make("strong", { textContent: title }), make("span", { textContent: sentence }));
}

function showPair(index) {
  chosen.pair = index;
  pair = read(`pair-${index}`);
  byId("pair-select").value = String(index);
  const [x, y] = pairs[index], row = globalRow.get(`${chosen.method},${x},${y}`);
  byId("pair-summary").textContent = row === undefined || all.estimate[row] === null ? `${pairName([x, y])}: no estimate.`
    : `${pairName([x, y])}, ${methods[chosen.method]}: ${shown(all.estimate[row])} ${between(all.ci_low[row], all.ci_high[row])}, `
      + `adjusted p ${shownP(all.qvalue[row])}, ${all.n_loci[row]} loci, \u03c4 ${shown(all.tau[row])}, `
      + `a new locus is expected in ${between(all.pi_low[row], all.pi_high[row])}.`;
  showLights(x, y);
  showLocal(row);
  showLociNames();
}

function showLights(x, y) {
  const lights = data.lights, at = lights ? lights.exposure.findIndex((e, i) => e === x && lights.outcome[i] === y) : -1;
  if (at < 0) return byId("pair-lights").replaceChildren(make("li", { textContent: "The run made no diagnostics." }));
  byId("pair-lights").replaceChildren(...data.flags.map(({ group, name, red_when, to_do }) => {
    const share = lights.share[name][at], colour = lights.colour[name][at];
    const found = share === null || colour === "none" ? "" : ` at ${shown(Math.round(1000 * share) / 10)} % of ${lights.n_loci[at]} loci`;
    return lightItem(colour, `${group}: ${name.replaceAll("_", " ")}`, `${found}. Red when: ${red_when}. ${to_do}`);
  }));
}

function showLocal(row) {
  const local = pair.methods[methods[chosen.method]], n = pair.locus.length;
  const name = (i) => loci.locus[pair.locus[i]];
  const column = (title, key, show) => ({ title, value: (i) => local[key][i], show });
  const flags = (i) => (pair.red ? data.flags.filter((_, bit) => pair.red[i] >> bit & 1).map((f) => f.name).join(", ") : "");
  new DataTable("local-table", {
    caption: `Local effects of ${pairName(pairs[chosen.pair])}, ${methods[chosen.method]}`, n,
    filter: { label: "with an estimate only", keep: (i) => local.estimate[i] !== null },
    columns: [{ title: "locus", text: true, value: name },
      { title: "place", text: true, value: (i) => `${loci.chrom[pair.locus[i]]}:${loci.start[pair.locus[i]]}-${loci.end[pair.locus[i]]} ${loci.strand[pair.locus[i]]}` },
      { title: "instruments", value: (i) => pair.n[i] }, column("effect", "estimate"), column("se", "se"), column("95 % low", "ci_low"),
      column("95 % high", "ci_high"), column("p", "pvalue", shownP), column("Q p", "q_pvalue", shownP),
      { title: "red flags", text: true, value: flags }, { title: "note", text: true, value: (i) => pair.note[i] }],
    onChoose: (i) => () => { showLocus(pair.locus[i]); byId("locus").scrollIntoView(); },
  });
  const used = range(n).filter((i) => local.estimate[i] !== null);
  const effect = row === undefined ? null : all.estimate[row];
  if (!used.length) {
    nothing("histogram", "No locus has an estimate.");
    nothing("forest", "No locus has an estimate.");
    return;
  }
  drawHistogram(used.map((i) => local.estimate[i]), effect);
  drawForest(used, local, name, row);
}

function drawHistogram(estimates, effect) {
  const domain = limits(estimates, [effect]), inside = estimates.filter((v) => v >= domain[0] && v <= domain[1]);
  byId("histogram-caption").textContent = "Local effects. Orange: the global effect." + (inside.length < estimates.length ? ` ${estimates.length - inside.length} of ${estimates.length} loci lie beyond the picture.` : "");
  draw("histogram", { description: `Histogram of ${estimates.length} local effects`, width: 420, height: 240, layer: [
    { data: { values: inside.map((value) => ({ value })) }, mark: { type: "bar", color: BLUE }, encoding: {
      x: { field: "value", type: "quantitative", bin: { maxbins: 40, extent: domain }, title: "local effect" },
      y: { aggregate: "count", type: "quantitative", title: "loci" }, tooltip: { aggregate: "count", type: "quantitative" } } },
    rule("x", effect)] });
}

function drawForest(used, local, name, row) {
  const labelled = used.length <= LABELLED;
  const order = [...used].sort((a, b) => local.estimate[b] - local.estimate[a]);
  const domain = limits(used.flatMap((i) => [local.ci_low[i], local.ci_high[i]]), row === undefined ? [] : [all.ci_low[row], all.ci_high[row], all.pi_low[row], all.pi_high[row]]);
  const values = order.map((i, rank) => ({ rank, locus: `${rank + 1}. ${name(i)}`, number: pair.locus[i], estimate: local.estimate[i], low: local.ci_low[i], high: local.ci_high[i],
    told: `${shown(local.estimate[i])} ${between(local.ci_low[i], local.ci_high[i])}` }));
  const y = labelled ? { field: "locus", type: "ordinal", sort: null, title: null, axis: { labelLimit: 190, grid: false } }
    : { field: "rank", type: "quantitative", title: `${used.length} loci, by effect`, scale: { reverse: true, nice: false, domain: [-1, used.length] }, axis: { labels: false, ticks: false, grid: false } };
  byId("forest-caption").textContent = `Local effects with 95 % intervals${labelled ? "" : ", the loci's names in the table and on pointing"}. Orange: the global effect with its interval; dashed: where a new locus is expected.`;
  const across = (field) => ({ field, type: "quantitative", title: "effect", scale: { domain, zero: false, nice: false } });
  const band = row === undefined ? [] : [{ low: all.ci_low[row], high: all.ci_high[row] }];
  draw("forest", { description: `Forest plot of ${used.length} loci`, width: 460, height: labelled ? { step: 13 } : 420, layer: [
    { data: { values: band }, mark: { type: "rect", color: ORANGE, opacity: 0.25, clip: true }, encoding: { x: across("low"), x2: { field: "high" } } },
    rule("x", 0, GREY), rule("x", row === undefined ? null : all.estimate[row]),
    ...(row === undefined ? [] : [rule("x", all.pi_low[row], ORANGE, [4, 3]), rule("x", all.pi_high[row], ORANGE, [4, 3])]),
    { data: { values }, mark: { type: "rule", color: BLUE, clip: true, strokeWidth: labelled ? 1.5 : 0.7 }, encoding: { y, x: across("low"), x2: { field: "high" } } },
    { data: { values }, mark: { type: "point", filled: true, color: BLUE, opacity: 1, clip: true, cursor: "pointer", size: labelled ? 28 : 8 }, encoding: { y, x: across("estimate"), tooltip: told(["locus", "locus"], ["told", "effect"]) } }],
  }, { many: 3 * used.length, onClick: ({ number }) => number !== undefined && showLocus(number) });
}

// ---------------------------------------------------------------- one locus

function showLociNames() {
  const local = pair.methods[methods[chosen.method]];
  byId("locus-names").replaceChildren(...pair.locus.map((i) => make("option", { value: loci.locus[i] })));
  const kept = chosen.locus !== null && pair.locus.includes(chosen.locus) ? chosen.locus : null;
  const detailed = range(pair.locus.length).filter((i) => byId(`locus-${pair.locus[i]}`));
  const estimated = detailed.filter((i) => local.estimate[i] !== null);
  const strength = (i) => Math.abs(local.estimate[i] / local.se[i]);
  const best = estimated.reduce((a, b) => (a === null || strength(b) > strength(a) ? b : a), null);
  const first = kept ?? (best !== null ? pair.locus[best] : detailed.length ? pair.locus[detailed[0]] : pair.locus[0]);
  if (first !== undefined) showLocus(first);
}

function showLocus(number) {
  chosen.locus = number;
  const at = pair.locus.indexOf(number), [x, y] = pairs[chosen.pair], detail = read(`locus-${number}`);
  byId("locus-input").value = loci.locus[number];
  byId("locus-input").setCustomValidity("");
  const fits = methods.map((m) => `${m} ${pair.methods[m].estimate[at] === null ? "none" : `${shown(pair.methods[m].estimate[at])} ${between(pair.methods[m].ci_low[at], pair.methods[m].ci_high[at])}`}`);
  byId("locus-summary").textContent = `${loci.locus[number]} (${loci.chrom[number]}:${loci.start[number]}-${loci.end[number]}, ${loci.strand[number]} strand), ${pairName([x, y])}: ${fits.join("; ")}. ${pair.note[at]}`;
  byId("locus-lights").replaceChildren(...(pair.red ? data.flags.filter((_, bit) => pair.red[at] >> bit & 1)
    .map((f) => lightItem("red", f.name.replaceAll("_", " "), `. Red when: ${f.red_when}. ${f.to_do}`)) : []));
  const charts = ["scatter", "funnel", "leave-one-out", "tracks", "instrument-table"];
  const why = !detail ? "The page holds no instruments of this locus." : "";
  if (why) return charts.forEach((id) => nothing(id, id === "scatter" ? why : ""));
  drawTracks(detail, x, y);
  const instruments = instrumentsOf(detail, x, y);
  if (!instruments.length) return charts.filter((id) => id !== "tracks").forEach((id) => nothing(id, id === "scatter" ? "No mutant of this locus is an instrument." : ""));
  drawScatter(instruments, at, x, y);
  drawFunnel(instruments, at);
  drawLeaveOneOut(instruments, at);
  showInstruments(instruments, x, y);
}

const instrumentsAt = (detail, x, y) => (detail.instruments[marks[x]] || {})[marks[y]] || [];

function instrumentsOf(detail, x, y) {
  const without = (detail.without[marks[x]] || {})[marks[y]] || { estimate: [], se: [] };
  return instrumentsAt(detail, x, y).map((i, k) => {
    const variant = detail.variants[i], position = Math.floor(variant / 3), ref = detail.sequence[position];
    const alt = "ACGT".replace(ref, "")[variant % 3], bx = detail.effect[marks[x]][i], by = detail.effect[marks[y]][i];
    return { position, name: `${position} ${ref}>${alt}`, bx, by, sx: detail.se[marks[x]][i], sy: detail.se[marks[y]][i],
      without: without.estimate[k] ?? null, withoutSe: without.se[k] ?? null };
  });
}

const linesOf = (at) => methods.map((method, i) => ({ method, color: LINES[i % LINES.length], slope: pair.methods[method].estimate[at],
  intercept: pair.methods[method].intercept[at] ?? 0 })).filter((line) => line.slope !== null);
const legendOf = (lines) => ({ field: "method", type: "nominal", title: "method", scale: { domain: lines.map((l) => l.method), range: lines.map((l) => l.color) }, legend: { orient: "bottom", columns: 3, symbolType: "stroke" } });

function drawScatter(instruments, at, x, y) {
  const values = instruments.map((i) => {
    const sign = i.bx < 0 ? -1 : 1;
    return { name: i.name, x: sign * i.bx, y: sign * i.by, x1: sign * i.bx - i.sx, x2: sign * i.bx + i.sx, y1: sign * i.by - i.sy, y2: sign * i.by + i.sy,
      told: `${shown(i.bx)} \u00b1 ${shown(i.sx)}`, told2: `${shown(i.by)} \u00b1 ${shown(i.sy)}` };
  });
  const most = Math.max(...values.map((v) => v.x2)), lines = linesOf(at);
  const segments = lines.flatMap((l) => [0, most].map((at_) => ({ method: l.method, x: at_, y: l.intercept + l.slope * at_ })));
  const domain = limits(values.flatMap((v) => [v.y1, v.y2]), [0]);
  const ey = (field) => ({ field, type: "quantitative", title: `effect on ${marks[y]}`, scale: { domain, zero: false, nice: false } });
  const ex = (field) => ({ field, type: "quantitative", title: `effect on ${marks[x]}` });
  draw("scatter", { description: `${instruments.length} instruments and ${lines.length} fitted lines`, width: 400, height: 300, layer: [
    { data: { values }, mark: { type: "rule", color: GREY, opacity: 0.6, clip: true }, encoding: { x: ex("x1"), x2: { field: "x2" }, y: ey("y") } },
    { data: { values }, mark: { type: "rule", color: GREY, opacity: 0.6, clip: true }, encoding: { x: ex("x"), y: ey("y1"), y2: { field: "y2" } } },
    { data: { values }, mark: { type: "point", filled: true, size: 30, opacity: 1, color: "currentColor", clip: true }, encoding: { x: ex("x"), y: ey("y"), tooltip: told(["name", "mutant"], ["told", "exposure"], ["told2", "outcome"]) } },
    { data: { values: segments }, mark: { type: "line", strokeWidth: 2, clip: true }, encoding: { x: ex("x"), y: ey("y"), color: legendOf(lines) } }] });
}

function drawFunnel(instruments, at) {
  const values = instruments.filter((i) => i.bx !== 0 && i.sy > 0).map((i) => ({ name: i.name, ratio: i.by / i.bx, precision: Math.abs(i.bx) / i.sy, told: `${shown(i.by / i.bx)} \u00b1 ${shown(i.sy / Math.abs(i.bx))}` }));
  const lines = linesOf(at), domain = limits(values.map((v) => v.ratio), lines.map((l) => l.slope));
  draw("funnel", { description: `Funnel plot of ${values.length} instruments`, width: 400, height: 300, layer: [
    { data: { values }, mark: { type: "point", filled: true, size: 30, opacity: 1, color: "currentColor", clip: true }, encoding: { x: quantitative("ratio", "ratio of effects, outcome / exposure", domain),
      y: { field: "precision", type: "quantitative", title: "precision, 1 / se of the ratio" }, tooltip: told(["name", "mutant"], ["told", "ratio"]) } },
    { data: { values: lines }, mark: { type: "rule", strokeWidth: 2, clip: true }, encoding: { x: quantitative("slope", "ratio of effects, outcome / exposure", domain), color: legendOf(lines) } }] });
}

function drawLeaveOneOut(instruments, at) {
  const values = instruments.filter((i) => i.without !== null).sort((a, b) => b.without - a.without).map((i, rank) => ({ rank, name: i.name,
    estimate: i.without, low: i.without - 1.96 * i.withoutSe, high: i.without + 1.96 * i.withoutSe, told: `${shown(i.without)} \u00b1 ${shown(i.withoutSe)}` }));
  if (!values.length) return nothing("leave-one-out", "Fewer than two instruments: none can be left out.");
  const labelled = values.length <= LABELLED, ivw = pair.methods.ivw ? pair.methods.ivw.estimate[at] : null;
  const domain = limits(values.map((v) => v.estimate), [ivw, ...values.flatMap((v) => [v.low, v.high])]);
  const y = labelled ? { field: "name", type: "ordinal", sort: null, title: "without" } : { field: "rank", type: "quantitative", title: `without each of ${values.length}`, scale: { reverse: true, nice: false, domain: [-1, values.length] }, axis: { labels: false, ticks: false, grid: false } };
  draw("leave-one-out", { description: `Leave-one-out of ${values.length} instruments`, width: 400, height: labelled ? { step: 13 } : 300, layer: [
    { data: { values }, mark: { type: "rule", color: BLUE }, encoding: { y, x: quantitative("low", "IVW without it", domain), x2: { field: "high" } } },
    { data: { values }, mark: { type: "point", filled: true, color: BLUE, opacity: 1, size: 26 }, encoding: { y, x: quantitative("estimate", "IVW without it", domain), tooltip: told(["name", "without"], ["told", "IVW"]) } },
    rule("x", ivw)] });
}

// One row of letters a mark; a letter's outline fills a box of 1 by 1, which is stretched to its height.
function drawTracks(detail, x, y) {
  const length = detail.sequence.length, width = Math.max(900, 9 * length), height = 110, gap = 46;
  const at = [...new Set(instrumentsAt(detail, x, y).map((i) => Math.floor(detail.variants[i] / 3)))];
  const tracks = [x, y].map((m, k) => {
    const values = detail.track[marks[m]], top = Math.max(1e-12, ...values), low = Math.min(0, ...values);
    const biggest = Math.max(top, -low);
    return { mark: marks[m], k, low: low - 0.12 * biggest, top: top + 0.05 * biggest, letters: range(length).filter((i) => Math.abs(values[i]) > 0.004 * biggest)
      .map((i) => ({ i, letter: detail.sequence[i], value: values[i], name: `${i} ${detail.sequence[i]}`, told: shown(values[i]) })) };
  });
  const group = (t) => ({
    type: "group", encode: { enter: { y: { value: t.k * (height + gap) }, width: { value: width }, height: { value: height } } },
    data: [{ name: `letters${t.k}`, values: t.letters }, { name: `instruments${t.k}`, values: at.map((i) => ({ i })) }],
    scales: [{ name: "v", type: "linear", domain: [t.low, t.top], range: [height, 0], zero: false }],
    axes: [{ orient: "left", scale: "v", title: t.mark, tickCount: 4, titleLimit: 110 }, { orient: "bottom", scale: "p", tickMinStep: 1, tickCount: Math.ceil(width / 90), labelFlush: false, title: t.k ? "position in the locus, from 0" : null }],
    marks: [
      { type: "rule", encode: { enter: { x: { value: 0 }, x2: { value: width }, y: { scale: "v", value: 0 }, stroke: { value: "currentColor" }, strokeOpacity: { value: 0.4 } } } },
      { type: "symbol", from: { data: `instruments${t.k}` }, encode: { enter: { shape: { value: "triangle-up" }, size: { value: 26 }, fill: { value: "currentColor" }, x: { scale: "p", field: "i" }, y: { value: height - 5 } } } },
      { type: "path", from: { data: `letters${t.k}` }, encode: { enter: { path: { signal: "outlines[datum.letter]" }, fill: { signal: "colours[datum.letter]" },
        x: { scale: "p", signal: "datum.i - 0.46" }, y: { scale: "v", value: 0 }, scaleX: { signal: `0.92 * ${width} / ${length}` },
        scaleY: { signal: "scale('v', 0) - scale('v', datum.value)" }, tooltip: { signal: "{position: datum.name, loss: datum.told}" } } } }],
  });
  draw("tracks", { description: `Effects along ${length} bases`, width, height: 2 * height + gap, padding: 5, autosize: "pad",
    signals: [{ name: "outlines", value: letters }, { name: "colours", value: BASES }],
    scales: [{ name: "p", type: "linear", domain: [-0.5, length - 0.5], range: [0, width], zero: false, nice: false }],
    marks: tracks.map(group) }).then(() => { if (at.length) byId("tracks").scrollLeft = (Math.min(...at) / length) * width - 120; });
}

function showInstruments(instruments, x, y) {
  const column = (title, key) => ({ title, value: (i) => instruments[i][key] });
  new DataTable("instrument-table", { caption: `Instruments for ${pairName([x, y])} at ${loci.locus[chosen.locus]}`, n: instruments.length, columns: [
    { title: "mutant", text: true, value: (i) => instruments[i].name }, column("position", "position"), column(`effect on ${marks[x]}`, "bx"), column("se", "sx"),
    column(`effect on ${marks[y]}`, "by"), column("se", "sy"), { title: "ratio", value: (i) => (instruments[i].bx ? instruments[i].by / instruments[i].bx : null) }, column("IVW without", "without")] });
}

// ---------------------------------------------------------------- the rest, and the start

function showProvenance() {
  const list = byId("provenance-list");
  data.provenance.forEach(([name, text]) => list.append(make("dt", { textContent: name }), make("dd", { textContent: text })));
  Object.entries(data.dropped).forEach(([reason, names]) => byId("dropped").append(make("p", { textContent: `${names.length} loci dropped: ${reason}: ${names.slice(0, 10).join(", ")}${names.length > 10 ? ` and ${names.length - 10} more` : ""}` })));
}

function showRules() {
  const told = data.rules;
  byId("rules").hidden = !told;
  if (!told) return;
  const number = (title, name, show) => ({ title, value: (i) => told[name][i], show });
  const text = (title) => ({ title, text: true, value: (i) => told[title][i] });
  new DataTable("rules-table", {
    caption: "Global effects by direct instruments and by regions", n: told.method.length,
    columns: [text("exposure"), text("outcome"), text("method"), number("loci", "n_loci"), number("direct", "direct"), number("regions", "regions"),
      number("difference", "difference"), number("95 % low", "ci_low"), number("95 % high", "ci_high"), number("p", "pvalue", shownP),
      number("Spearman over loci", "spearman")],
    onChoose: (i) => choice(marks.indexOf(told.exposure[i]), marks.indexOf(told.outcome[i])),
  });
}

function start() {
  byId("facts").textContent = data.glance.facts;
  byId("headline").append(...data.glance.sentences.map((textContent) => make("li", { textContent })));
  byId("headline").hidden = !data.glance.sentences.length;
  byId("correction").textContent = `Significant: p < ${data.false_discovery_rate} after Benjamini and Hochberg's correction for all pairs of the method.`;
  if (data.left_out.length) {
    byId("left-out").hidden = false;
    byId("left-out").append(...data.left_out.map((textContent) => make("p", { textContent })));
  }
  methods.forEach((name, i) => byId("method").append(make("option", { value: String(i), textContent: name })));
  byId("method").onchange = (event) => { chosen.method = Number(event.target.value); showGlobal(); showPair(chosen.pair); };
  pairs.forEach((p, i) => byId("pair-select").append(make("option", { value: String(i), textContent: pairName(p) })));
  byId("pair-select").onchange = (event) => showPair(Number(event.target.value));
  byId("locus-input").onchange = (event) => {
    const found = pair.locus.find((i) => loci.locus[i] === event.target.value);
    if (found !== undefined) return showLocus(found);
    event.target.setCustomValidity("No such locus");
    event.target.reportValidity();
  };
  showProvenance();
  showVerdicts();
  showGlobal();
  showRules();
  showPair(0);
}

start();
document.documentElement.dataset.ready = "yes";
})();
