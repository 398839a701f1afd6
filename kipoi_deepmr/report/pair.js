// One pair: its most telling loci, the distribution of local effects, what speaks against it, and all loci.

const TELLING = 6;
let pair = null, pairTurn = 0;

// Shows the pair of that number, with the locus of that number if the page holds it for the pair.
async function showPair(index, locus = null) {
  const turn = ++pairTurn, held = await read(`pair-${index}`);
  if (turn !== pairTurn) return;
  chosen.pair = index;
  pair = held;
  byId("pair-select").value = String(index);
  const [x, y] = pairs[index], row = rowOf.get(`${x},${y}`), estimate = ofMethod(row, "estimate");
  const verdict = verdictOf(row), method = methods[chosen.method];
  byId("pair-summary").textContent = estimate === null ? `${pairName([x, y])}: no estimate${verdict ? `; ${verdict}` : ""}.`
    : `${pairName([x, y])}: ${verdict ? `${verdict}. ` : ""}By ${method}, ${shown(estimate)} ${between(ofMethod(row, "ci_low"), ofMethod(row, "ci_high"))}, `
      + `adjusted p ${shownP(ofMethod(row, "qvalue"))}, ${counted(ofMethod(row, "n_loci"), "locus", "loci")}, \u03c4 ${shown(ofMethod(row, "tau"))}; `
      + `a new locus is expected in ${between(ofMethod(row, "pi_low"), ofMethod(row, "pi_high"))}.`;
  showLights(x, y);
  showLocal(row);
  await Promise.all([showTelling(row, turn), showShape(index, turn), showLociNames(locus ?? chosen.locus)]);
}

// ---------------------------------------------------------------- the loci that weigh most

const loadOf = (i, row) => {
  const se = pair.methods[methods[chosen.method]].se[i], tau = ofMethod(row, "tau") ?? 0;
  return pair.methods[methods[chosen.method]].estimate[i] === null || !(se > 0) ? -1 : 1 / (se ** 2 + tau ** 2);
};

function weightiest(row) {
  const loads = new Map(range(pair.locus.length).map((i) => [i, loadOf(i, row)]));
  return range(pair.locus.length).filter((i) => loads.get(i) > 0 && byId(`locus-${pair.locus[i]}`)).sort((a, b) => loads.get(b) - loads.get(a) || a - b);
}

async function showTelling(row, turn) {
  const best = weightiest(row).slice(0, TELLING), [x, y] = pairs[chosen.pair];
  if (!best.length) return nothing("telling", "The page holds no instruments of this pair's loci.");
  const details = await Promise.all(best.map((i) => read(`locus-${pair.locus[i]}`)));
  if (turn !== pairTurn) return undefined;
  const panels = best.map((i, k) => ({ i, instruments: turned(instrumentsOf(details[k], pair.locus[i], x, y)) })).filter((panel) => panel.instruments.length);
  const effect = ofMethod(row, "estimate");
  return draw("telling", (room) => {
    const columns = Math.max(1, Math.min(3, panels.length, Math.floor(room / 280))), width = Math.floor(room / columns) - 75;
    return { columns, spacing: 18, description: `Instruments of ${pairName([x, y])} at ${counted(panels.length, "locus", "loci")}`,
      concat: panels.map(({ i, instruments }) => ({ title: { text: short(loci.locus[pair.locus[i]], 30), fontSize: 12 }, ...scatterOf(instruments, i, x, y, width, 170, { effect }) })) };
  }, { fit: false, onClick: ({ at }) => at !== undefined && goToLocus(at) });
}

// Instruments with positive effects on the exposure.
const turned = (instruments) => instruments.map((i) => {
  const sign = i.bx < 0 ? -1 : 1;
  return { name: i.name, at: i.at, x: sign * i.bx, y: sign * i.by, x1: sign * i.bx - i.sx, x2: sign * i.bx + i.sx, y1: sign * i.by - i.sy, y2: sign * i.by + i.sy,
    told: `${shown(i.bx)} \u00b1 ${shown(i.sx)}`, told2: `${shown(i.by)} \u00b1 ${shown(i.sy)}` };
});

const linesOf = (i) => methods.map((method) => ({ method, slope: pair.methods[method].estimate[i],
  intercept: pair.methods[method].intercept[i] ?? 0 })).filter((line) => line.slope !== null);
const legendOf = (room) => ({ field: "method", type: "nominal", title: "method", scale: { domain: methods, range: methods.map((_, k) => LINES[k % LINES.length]) }, legend: { orient: "bottom", columns: room < 400 ? 2 : 3, symbolType: "stroke" } });

function scatterOf(values, i, x, y, width, height, { effect = null } = {}) {
  const most = Math.max(...values.map((v) => v.x2)), lines = linesOf(i);
  const segments = lines.flatMap((l) => [0, most].map((at) => ({ method: l.method, x: at, y: l.intercept + l.slope * at })));
  const domain = limits(values.flatMap((v) => [v.y1, v.y2]), [0]);
  const ey = (field) => ({ field, type: "quantitative", title: `effect on ${short(marks[y], 24)}`, scale: { domain, zero: false, nice: false } });
  const ex = (field) => ({ field, type: "quantitative", title: `effect on ${short(marks[x], 24)}` });
  return { width, height, layer: [
    { data: { values }, mark: { type: "rule", color: GREY, opacity: 0.5, clip: true }, encoding: { x: ex("x1"), x2: { field: "x2" }, y: ey("y") } },
    { data: { values }, mark: { type: "rule", color: GREY, opacity: 0.5, clip: true }, encoding: { x: ex("x"), y: ey("y1"), y2: { field: "y2" } } },
    { data: { values }, mark: { type: "point", filled: true, size: 26, opacity: 1, color: "currentColor", clip: true }, encoding: { x: ex("x"), y: ey("y"), tooltip: told(["name", "mutant"], ["told", "exposure"], ["told2", "outcome"]) } },
    ...(effect === null ? [] : [{ data: { values: [0, most].map((at) => ({ x: at, y: effect * at })) }, mark: { type: "line", strokeDash: [5, 4], strokeWidth: 1.5, color: GREY, clip: true }, encoding: { x: ex("x"), y: ey("y") } }]),
    { data: { values: segments }, mark: { type: "line", strokeWidth: 2, clip: true }, encoding: { x: ex("x"), y: ey("y"), color: legendOf(width) } }] };
}

// ---------------------------------------------------------------- what speaks against it

const lightItem = (colour, title, sentence) => make("li", { className: colour }, make("span", { className: "sign", textContent: `${SIGNS[colour]} ${colour === "none" ? "not tested" : colour} ` }),
  make("strong", { textContent: title }), make("span", { textContent: sentence }));
const flagName = (name) => name.replaceAll("_", " ");

function showLights(x, y) {
  const lights = data.lights, at = lights ? lights.exposure.findIndex((e, i) => e === x && lights.outcome[i] === y) : -1;
  if (at < 0) return byId("pair-lights").replaceChildren(make("p", { textContent: "The run made no diagnostics of this pair." }));
  const groups = [...new Set(data.flags.map((flag) => flag.group))];
  byId("pair-lights").replaceChildren(make("p", { textContent: `Shares of ${counted(lights.n_loci[at], "locus", "loci")} at which a diagnostic is red.` }), ...groups.flatMap((group) => {
    const flags = data.flags.filter((flag) => flag.group === group), of = (flag) => lights.colour[flag.name][at];
    const share = (flag) => (of(flag) === "none" || lights.share[flag.name][at] === null ? "" : ` ${shown(Math.round(1000 * lights.share[flag.name][at]) / 10)} %`);
    const alarming = flags.filter((flag) => ["red", "amber"].includes(of(flag))), fine = flags.filter((flag) => !alarming.includes(flag));
    return [make("h4", { textContent: group }), ...(alarming.length ? [make("ul", {}, ...alarming.map((flag) => lightItem(of(flag), flagName(flag.name), `${share(flag)}. Red when: ${flag.red_when}. ${flag.to_do}`)))] : []),
      ...(fine.length ? [make("ul", { className: "fine" }, ...fine.map((flag) => { const item = lightItem(of(flag), flagName(flag.name), share(flag)); item.title = `Red when: ${flag.red_when}.`; return item; }))] : [])];
  }));
}

// ---------------------------------------------------------------- all loci

// 1-based, as genome browsers have it.
const placeOf = (number) => `${loci.chrom[number]}:${loci.start[number] + 1}-${loci.end[number]}`;

function showLocal(row) {
  const local = pair.methods[methods[chosen.method]], n = pair.locus.length, name = (i) => loci.locus[pair.locus[i]];
  const column = (title, key, help, show) => ({ title, help, value: (i) => local[key][i], show });
  const flags = (i) => (pair.red ? data.flags.filter((_, bit) => pair.red[i] >> bit & 1).map((f) => flagName(f.name)).join(", ") : "");
  new DataTable("local-table", {
    caption: `Local effects of ${pairName(pairs[chosen.pair])}, ${methods[chosen.method]}`, n,
    filter: { label: "with an estimate only", keep: (i) => local.estimate[i] !== null },
    columns: [{ title: "locus", help: "Name of the locus.", text: true, value: name },
      { title: "place", help: "Chromosome, first and last position (from 1), strand.", text: true, value: (i) => `${placeOf(pair.locus[i])} ${loci.strand[pair.locus[i]]}` },
      { title: "instruments", help: "Mutants that are used.", value: (i) => pair.n[i] }, column("effect", "estimate", "Change of the outcome per unit of the exposure at this locus."),
      column("se", "se", "Standard error of the effect."), column("95 % low", "ci_low", "Lower end of the 95 % interval."), column("95 % high", "ci_high", "Upper end of the 95 % interval."),
      column("p", "pvalue", "p-value of no effect at this locus, not corrected.", shownP), column("Q p", "q_pvalue", "p-value of Cochran's Q: small where the instruments disagree.", shownP),
      { title: "red flags", help: "Diagnostics that are red at this locus.", text: true, long: true, value: flags }, { title: "note", help: "Why there is no estimate, or what to know of it.", text: true, long: true, value: (i) => pair.note[i] }],
    onChoose: (i) => () => goToLocus(pair.locus[i]),
  });
  const used = range(n).filter((i) => local.estimate[i] !== null), effect = ofMethod(row, "estimate");
  if (!used.length) {
    nothing("histogram", "No locus has an estimate.");
    nothing("forest", "No locus has an estimate.");
    return;
  }
  drawHistogram(used.map((i) => local.estimate[i]), effect);
  drawForest(used, local, name, row);
}

function goToLocus(number) {
  showLocus(number);
  byId("locus").scrollIntoView();
}

function drawHistogram(estimates, effect) {
  const domain = limits(estimates, [effect]), inside = estimates.filter((v) => v >= domain[0] && v <= domain[1]);
  byId("histogram-caption").textContent = "Local effects. Orange: the global effect." + (inside.length < estimates.length ? ` ${estimates.length - inside.length} of ${estimates.length} loci lie beyond the picture.` : "");
  draw("histogram", () => ({ description: `Histogram of ${estimates.length} local effects`, width: 480, height: 240, layer: [
    { data: { values: inside.map((value) => ({ value })) }, mark: { type: "bar", color: RAISES }, encoding: {
      x: { field: "value", type: "quantitative", bin: { maxbins: 40, extent: domain }, title: "local effect" },
      y: { aggregate: "count", type: "quantitative", title: "loci" }, tooltip: { aggregate: "count", type: "quantitative" } } },
    rule("x", effect)] }));
}

function drawForest(used, local, name, row) {
  const labelled = used.length <= LABELLED, effect = ofMethod(row, "estimate");
  const order = [...used].sort((a, b) => local.estimate[b] - local.estimate[a]);
  const ends = ["ci_low", "ci_high", "pi_low", "pi_high"].map((end) => ofMethod(row, end));
  const domain = limits(used.flatMap((i) => [local.ci_low[i], local.ci_high[i]]), ends);
  const values = order.map((i, rank) => ({ rank, locus: `${rank + 1}. ${short(name(i), 24)}`, number: pair.locus[i], estimate: local.estimate[i], low: local.ci_low[i], high: local.ci_high[i],
    whole: name(i), told: `${shown(local.estimate[i])} ${between(local.ci_low[i], local.ci_high[i])}` }));
  const y = labelled ? { field: "locus", type: "ordinal", sort: null, title: null, axis: { labelLimit: 170, grid: false } }
    : { field: "rank", type: "quantitative", title: `${used.length} loci, by effect`, scale: { reverse: true, nice: false, domain: [-1, used.length] }, axis: { labels: false, ticks: false, grid: false } };
  byId("forest-caption").textContent = `Local effects with 95 % intervals${labelled ? "" : ", the loci's names in the table and on pointing"}. Orange: the global effect with its interval; dashed: where a new locus is expected.`;
  const across = (field) => ({ field, type: "quantitative", title: "effect", scale: { domain, zero: false, nice: false } });
  const band = ends[0] === null ? [] : [{ low: ends[0], high: ends[1] }];
  draw("forest", () => ({ description: `Forest plot of ${used.length} loci`, width: 560, height: labelled ? 13 * values.length + 10 : 420, layer: [
    { data: { values: band }, mark: { type: "rect", color: LOWERS, opacity: 0.25, clip: true }, encoding: { x: across("low"), x2: { field: "high" } } },
    rule("x", 0, GREY), rule("x", effect), rule("x", ends[2], LOWERS, [4, 3]), rule("x", ends[3], LOWERS, [4, 3]),
    { data: { values }, mark: { type: "rule", color: RAISES, clip: true, strokeWidth: labelled ? 1.5 : 0.7 }, encoding: { y, x: across("low"), x2: { field: "high" } } },
    { data: { values }, mark: { type: "point", filled: true, color: RAISES, opacity: 1, clip: true, cursor: "pointer", size: labelled ? 28 : 8 }, encoding: { y, x: across("estimate"), tooltip: told(["whole", "locus"], ["told", "effect"]) } }],
  }), { many: 3 * used.length, onClick: ({ number }) => number !== undefined && goToLocus(number) });
}
