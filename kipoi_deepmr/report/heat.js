// The heat map of all pairs: words choose marks, buttons zoom, arrows move from cell to cell, a click opens a pair.

const heat = data.heat, MISSING = -128;
const heatView = { list: range(heat.marks.length), from: [0, 0], size: heat.marks.length, cell: null };
const cells = Int8Array.from(atob(heat.cells), (c) => c.charCodeAt(0) << 24 >> 24);
const dots = atob(heat.dots);
const dotAt = (k) => (dots.charCodeAt(k >> 2) >> (2 * (k & 3))) & 3;
const heatNumber = new Map(marks.map((name, i) => [name, i]));
const numberOfHeat = heat.marks.map((name) => heatNumber.get(name));
const CELL = 64, SMALLEST_NAME = 9, WRITTEN = 34, MOST_SIDE = 560;

const hexes = (text) => [1, 3, 5].map((i) => parseInt(text.slice(i, i + 2), 16));
const variable = (name) => { const text = getComputedStyle(document.documentElement).getPropertyValue(name).trim(); return hexes(text.length === 4 ? text.replace(/[0-9a-f]/gi, "$&$&") : text); };

function showHeat() {
  const n = heat.marks.length;
  if (!byId("matrix")) makeHeat(n);
  const { list, from, size } = heatView, width = byId("heatmap").clientWidth || 480, [columns, rows] = from.map((at) => list.slice(at, at + size));
  const strip = chosen.colour ? 10 : 0;
  const names = (which) => which.map((i) => short(heat.marks[i], 26));
  const longest = size && size <= 80 ? Math.max(...names(rows).concat(names(columns)).map((name) => widthOf(name, 11))) + 6 : 0;
  const room = Math.min(longest, 0.34 * width), side = Math.max(20, Math.min(width - room - strip - 2, CELL * size, MOST_SIDE));
  const step = side / Math.max(1, size), named = step >= SMALLEST_NAME && longest > 0, left = (named ? room : 0) + strip;
  Object.assign(heatView, { left, side, step, rows, columns });
  const { svg, canvas } = heatView;
  svg.setAttribute("width", left + side);
  svg.setAttribute("height", left + side);
  svg.replaceChildren(...(named ? labelsOfHeat(left, step, strip, room) : []), ...(strip ? stripsOf(left, step) : []));
  Object.assign(canvas.style, { left: `${left}px`, top: `${left}px`, width: `${side}px`, height: `${side}px` });
  paintHeat();
  heatView.says.textContent = size ? "" : "No such mark.";
  heatView.count.textContent = size < n ? `${size.toLocaleString("en")} of ${n.toLocaleString("en")} marks` : "";
}

function makeHeat(n) {
  const what = heat.what === "effect" ? "effect" : "standard deviations of the outcome per standard deviation of the exposure";
  const canvas = make("canvas", { id: "matrix", attributes: { role: "img", tabindex: "0", "aria-label": `Effects of ${n} exposures (rows) on ${n} outcomes (columns). Arrow keys move from cell to cell, Enter opens the pair.` } });
  const svg = makeSvg("svg", { "aria-hidden": "true" }), says = make("p", { id: "matrix-told", className: "told", attributes: { "aria-live": "polite" } });
  const count = make("span", { attributes: { "aria-live": "polite" } });
  Object.assign(heatView, { svg, canvas, says, count });
  const search = make("input", { id: "matrix-search", type: "search", attributes: { "aria-label": "Marks in the heat map", placeholder: "Marks, such as ATAC" } });
  search.oninput = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    heatView.list = range(n).filter((i) => words.every((word) => heat.marks[i].toLowerCase().includes(word)));
    Object.assign(heatView, { from: [0, 0], size: heatView.list.length, cell: null });
    showHeat();
  };
  const controls = n > 12 ? [make("div", { className: "controls" }, search, ...zoomButtons((by) => zoomHeat(by, heatView.cell ?? [0.5, 0.5].map((p) => p * heatView.size))), count)] : [];
  const bar = make("div", { className: `bar${heat.ends[0] ? " low" : ""}${heat.ends[1] ? " high" : ""}` });
  const scale = make("div", { className: "scale" }, make("span", { textContent: `${heat.ends[0] ? "\u2264 " : ""}\u2212${shown(heat.most)}` }), bar, make("span", { textContent: `${heat.ends[1] ? "\u2265 " : ""}${shown(heat.most)}` }));
  const dotted = data.no_verdicts ? "\u25cf adjusted p < 0.05." : "\u25cf direct or indirect effect. \u25cb significant, but doubtful: it cannot be told, or there may be a hidden common cause.";
  const key = make("p", { className: "key", textContent: `Colour: ${what}. ${dotted} Grey: no estimate.${heat.left_out ? ` ${counted(heat.left_out, "mark")} with the smallest effects ${heat.left_out === 1 ? "is" : "are"} not shown.` : ""}` });
  byId("heatmap").replaceChildren(...controls, make("div", { className: "heat" }, svg, canvas), says, scale, key);
  listenToHeat(canvas);
}

function listenToHeat(canvas) {
  const at = (event) => {
    const box = canvas.getBoundingClientRect(), { size } = heatView;
    return strongestAt([event.clientX - box.left, event.clientY - box.top].map((p, k) => (p / [box.width, box.height][k]) * size));
  };
  const open = ([column, row]) => { const { columns, rows } = heatView; if (columns[column] !== rows[row]) openPair(numberOfHeat[rows[row]], numberOfHeat[columns[column]]); };
  let held = null, moved = false;
  canvas.onpointerdown = (event) => { held = [event.clientX, event.clientY, ...heatView.from]; moved = false; };
  canvas.onpointerup = canvas.onpointerleave = () => { held = null; };
  canvas.onpointermove = (event) => {
    const { step, size, list } = heatView;
    if (held && size < list.length) {
      const shift = [event.clientX - held[0], event.clientY - held[1]].map((p) => Math.round(p / step));
      if (shift.some(Boolean)) moved = true;
      const from = shift.map((by, k) => Math.max(0, Math.min(list.length - size, held[2 + k] - by)));
      if (from.some((v, k) => v !== heatView.from[k])) { heatView.from = from; showHeat(); }
      if (moved) return;
    }
    heatView.cell = at(event);
    sayCell();
  };
  canvas.onclick = (event) => { if (!moved) open(at(event)); };
  canvas.onkeydown = (event) => {
    const by = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (event.key === "Enter" && heatView.cell) open(heatView.cell);
    if (!by || !heatView.size) return;
    event.preventDefault();
    heatView.cell = (heatView.cell ?? [-by[0], -by[1]]).map((v, k) => Math.max(0, Math.min(heatView.size - 1, v + by[k])));
    sayCell();
  };
  canvas.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    zoomHeat(event.deltaY < 0 ? 1.25 : 0.8, at(event));
  }, { passive: false });
}

// Zooms by a factor about a cell; 0 shows all.
function zoomHeat(by, [column, row]) {
  const { size: before, list } = heatView, size = by ? Math.max(Math.min(4, list.length), Math.min(list.length, Math.round(before / by))) : list.length;
  heatView.from = [column, row].map((at, k) => Math.max(0, Math.min(list.length - size, Math.round(heatView.from[k] + at - (at / before) * size))));
  Object.assign(heatView, { size, cell: null });
  showHeat();
}

// Where a pixel stands for several cells, the one with the largest effect.
function strongestAt(at) {
  const { columns, rows, step, size } = heatView, n = heat.marks.length, many = Math.max(1, Math.round(2 / step));
  const [column, row] = at.map((p) => Math.max(0, Math.min(size - 1, Math.floor(p))));
  let best = [column, row], most = -1;
  for (let r = row; r < Math.min(size, row + many); r++) {
    for (let c = column; c < Math.min(size, column + many); c++) {
      const value = cells[rows[r] * n + columns[c]];
      if (value !== MISSING && Math.abs(value) > most) [best, most] = [[c, r], Math.abs(value)];
    }
  }
  return best;
}

function sayCell() {
  const [column, row] = heatView.cell, [i, j] = [heatView.rows[row], heatView.columns[column]];
  if (i === undefined || j === undefined) return;
  if (i === j) { heatView.says.textContent = heat.marks[i]; return; }
  const [x, y] = [numberOfHeat[i], numberOfHeat[j]], value = cells[i * heat.marks.length + j], listed = rowOf.get(`${x},${y}`);
  const exact = listed === undefined || heat.what === "effect" ? null : effects.standardised[listed];
  const size = value === MISSING ? "no estimate" : exact !== null ? shown(exact) : shown((value * heat.most) / 127) + (Math.abs(value) === 127 ? " or more" : "");
  const verdict = listed === undefined ? "" : verdictOf(listed);
  heatView.says.textContent = `${pairName([x, y])}: ${size}${verdict ? `, ${verdict}` : ""}${listed === undefined ? "" : `, adjusted p ${shownP(ofMethod(listed, "qvalue", methods[0]))}`}`;
}

function labelsOfHeat(left, step, strip, room) {
  const size = Math.min(11, step - 0.5), fitting = (name) => { let most = 26; while (most > 4 && widthOf(short(name, most), size) > room - 6) most -= 1; return short(name, most); };
  const text = (i, attributes) => { const made = makeSvg("text", { "font-size": size.toFixed(1), ...attributes }, fitting(heat.marks[i])); made.append(makeSvg("title", {}, heat.marks[i])); return made; };
  const out = left - strip - 3;
  return [...heatView.rows.map((i, k) => text(i, { x: out, y: left + (k + 0.5) * step + size * 0.35, "text-anchor": "end" })),
    ...heatView.columns.map((i, k) => text(i, { transform: `translate(${left + (k + 0.5) * step + size * 0.35},${out}) rotate(-90)` }))];
}

function stripsOf(left, step) {
  const part = (i, attributes) => makeSvg("rect", { fill: colourOf(numberOfHeat[i]) ?? "none", ...attributes });
  return [...heatView.rows.map((i, k) => part(i, { x: left - 10, y: left + k * step, width: 7, height: step + 0.1 })),
    ...heatView.columns.map((i, k) => part(i, { x: left + k * step, y: left - 10, width: step + 0.1, height: 7 }))];
}

function paintHeat() {
  const { canvas, rows, columns, side, step, size } = heatView, n = heat.marks.length, grid = Math.max(1, Math.min(size, Math.floor(side / 2)));
  const [low, middle, high, missing, blank] = printing ? ["#d55e00", "#f7f7f7", "#0072b2", "#cdcdcd", "#ffffff"].map(hexes) : ["--lowers", "--middle", "--raises", "--missing", "--bg"].map(variable);
  const colour = (v) => middle.map((c, k) => Math.round(c + (Math.abs(v) / 127) * ((v < 0 ? low : high)[k] - c)));
  const palette = range(256).map((i) => (i === 0 ? missing : colour(i - 128)));
  const strongest = new Int16Array(grid * grid).fill(-200); // -200: diagonal, else the cell's value
  for (let r = 0; r < size; r++) {
    for (let c = 0; c < size; c++) {
      if (rows[r] === columns[c]) continue;
      const k = Math.floor((r * grid) / size) * grid + Math.floor((c * grid) / size), value = cells[rows[r] * n + columns[c]], before = strongest[k];
      if (before === -200 || before === MISSING || (value !== MISSING && Math.abs(value) > Math.abs(before))) strongest[k] = value;
    }
  }
  const image = new ImageData(grid, grid);
  strongest.forEach((value, k) => image.data.set([...(value === -200 ? blank : palette[value + 128]), 255], 4 * k));
  const dense = make("canvas", { width: grid, height: grid }), sharp = Math.min(3, devicePixelRatio || 1);
  dense.getContext("2d").putImageData(image, 0, 0);
  canvas.width = canvas.height = Math.round(side * sharp);
  const context = canvas.getContext("2d");
  context.imageSmoothingEnabled = false;
  context.drawImage(dense, 0, 0, canvas.width, canvas.height);
  context.scale(sharp, sharp);
  if (step >= SMALLEST_NAME && size) paintDots(context, colour);
}

function paintDots(context, colour) {
  const { rows, columns, step } = heatView, n = heat.marks.length, written = step >= WRITTEN, radius = Math.max(1.6, Math.min(4, 0.16 * step));
  context.font = "11px system-ui, sans-serif";
  context.textAlign = "center";
  rows.forEach((i, r) => columns.forEach((j, c) => {
    const k = i * n + j, value = cells[k], dot = dotAt(k);
    if (i === j || value === MISSING) return;
    const [red, green, blue] = colour(value), ink = 0.3 * red + 0.59 * green + 0.11 * blue > 140 ? "#111" : "#fff", [x, y] = [(c + 0.5) * step, (r + 0.5) * step];
    context.fillStyle = context.strokeStyle = ink;
    if (written) context.fillText(((value * heat.most) / 127).toFixed(2), x, y + (dot ? 0 : 4));
    if (!dot) return;
    context.beginPath();
    context.arc(x, y + (written ? 10 : 0), radius, 0, 2 * Math.PI);
    if (dot === 1) context.fill();
    else { context.lineWidth = 1.2; context.stroke(); }
  }));
}
