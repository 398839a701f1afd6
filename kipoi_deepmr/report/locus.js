// One locus: effects along the sequence, its instruments in the genome, every method's line.

const COMPLEMENT = { A: "T", C: "G", G: "C", T: "A" };
const SPELLED = 12; // letters of a stretch that a name spells
let locusTurn = 0;

function showLociNames(wanted) {
  byId("locus-names").replaceChildren(...pair.locus.map((i) => make("option", { value: loci.locus[i] })));
  const kept = wanted !== null && pair.locus.includes(wanted) ? wanted : null;
  const local = pair.methods[methods[chosen.method]], strength = (i) => Math.abs(local.estimate[i] / local.se[i]);
  const best = weightiest(rowOf.get(pairs[chosen.pair].join(","))).slice(0, TELLING).sort((a, b) => strength(b) - strength(a))[0];
  const detailed = pair.locus.find((number) => byId(`locus-${number}`));
  const first = kept ?? (best !== undefined ? pair.locus[best] : detailed ?? pair.locus[0]);
  return first === undefined ? undefined : showLocus(first);
}

async function showLocus(number) {
  const turn = ++locusTurn, detail = await read(`locus-${number}`);
  if (turn !== locusTurn) return;
  chosen.locus = number;
  const at = pair.locus.indexOf(number), [x, y] = pairs[chosen.pair];
  byId("locus-input").value = loci.locus[number];
  byId("locus-input").setCustomValidity("");
  const fits = methods.map((m) => `${m} ${pair.methods[m].estimate[at] === null ? "none" : `${shown(pair.methods[m].estimate[at])} ${between(pair.methods[m].ci_low[at], pair.methods[m].ci_high[at])}`}`);
  byId("locus-summary").textContent = `${loci.locus[number]} (${placeOf(number)}, ${loci.strand[number]} strand), ${pairName([x, y])}: ${fits.join("; ")}. ${pair.note[at]}`;
  const red = pair.red ? data.flags.filter((_, bit) => pair.red[at] >> bit & 1) : [];
  byId("locus-lights").replaceChildren(...(red.length ? [make("ul", {}, ...red.map((f) => lightItem("red", flagName(f.name), `. Red when: ${f.red_when}. ${f.to_do}`)))] : []));
  showBrowsers();
  setLink();
  const charts = ["tracks", "scatter", "funnel", "leave-one-out", "instrument-table"];
  byId("locus-charts").hidden = !detail;
  if (!detail) return void charts.forEach((id) => nothing(id, id === "tracks" ? "The page holds no instruments of this locus." : ""));
  drawTracks(detail, number, x, y);
  const instruments = instrumentsOf(detail, number, x, y);
  if (!instruments.length) return void charts.filter((id) => id !== "tracks").forEach((id) => nothing(id, id === "scatter" ? "No mutant of this locus is an instrument." : ""));
  const values = turned(instruments);
  draw("scatter", (room) => ({ description: `${values.length} instruments and their fitted lines`, ...scatterOf(values, at, x, y, Math.min(room, 480), 300) }));
  drawFunnel(instruments, at);
  drawLeaveOneOut(instruments, at);
  showInstruments(instruments, x, y);
}

// Links to genome browsers, of parts that are checked: a known assembly, a plain name, whole numbers.
function showBrowsers() {
  const assembly = byId("assembly").value, number = chosen.locus;
  byId("browsers").replaceChildren();
  const numbers = [loci.start[number], loci.end[number]];
  if (!data.assemblies.includes(assembly) || !/^[\w.-]{1,80}$/.test(loci.chrom[number]) || !numbers.every(Number.isSafeInteger)) return;
  const place = encodeURIComponent(placeOf(number));
  const link = (textContent, href) => make("a", { textContent, href, target: "_blank", rel: "noopener noreferrer" });
  byId("browsers").append(link("UCSC Genome Browser", `https://genome.ucsc.edu/cgi-bin/hgTracks?db=${assembly}&position=${place}`), " ", link("IGV", `https://igv.org/app/?genome=${assembly}&locus=${place}`));
}

const instrumentsAt = (detail, x, y) => (detail.instruments[marks[x]] || {})[marks[y]] || [];

// What a variant changes, as the model sees it: alt is empty for a deletion, * for a mean over draws.
function mutantOf(detail, variant) {
  const k = detail.others ? detail.others.variant.indexOf(variant) : -1;
  if (k < 0) {
    const position = Math.floor(variant / 3), ref = detail.sequence[position];
    return { kind: "single", position, length: 1, draws: 1, ref, alt: "ACGT".replace(ref, "")[variant % 3] };
  }
  const [kind, position, length, draws, alt] = ["kind", "position", "length", "draws", "alt"].map((name) => detail.others[name][k]);
  return { kind, position, length, draws, alt, ref: detail.sequence.slice(position, position + length) };
}

// Its first base in the genome (from 1, plus strand), its name there, and that in the locus (from 0).
function namesOf({ kind, position, length, ref, alt }, number) {
  const forward = loci.strand[number] !== "-", genomic = forward ? loci.start[number] + position + 1 : loci.end[number] - position - length + 1;
  const turned = (text) => (forward ? text : [...text].reverse().map((base) => COMPLEMENT[base] ?? base).join(""));
  const spelled = (from, to) => `${from}>${to || "-"}`;
  if (kind === "single") return { genomic, name: `${loci.chrom[number]}:${genomic} ${spelled(turned(ref), turned(alt))}`, seen: `${position} ${spelled(ref, alt)}` };
  const how = (from, to) => (alt === "*" || length > SPELLED ? kind : spelled(from, to));
  return { genomic, name: `${loci.chrom[number]}:${genomic}-${genomic + length - 1} ${how(turned(ref), turned(alt))}`, seen: `${position}-${position + length - 1} ${how(ref, alt)}` };
}

// Instruments with their places and names, effects, and what is left without each.
function instrumentsOf(detail, number, x, y) {
  const without = (detail.without[marks[x]] || {})[marks[y]] || { estimate: [], se: [] };
  return instrumentsAt(detail, x, y).map((i, k) => {
    const mutant = mutantOf(detail, detail.variants[i]);
    return { at: number, ...mutant, ...namesOf(mutant, number), bx: detail.effect[marks[x]][i], by: detail.effect[marks[y]][i],
      sx: detail.se[marks[x]][i], sy: detail.se[marks[y]][i], without: without.estimate[k] ?? null, withoutSe: without.se[k] ?? null };
  });
}

function drawFunnel(instruments, at) {
  const values = instruments.filter((i) => i.bx !== 0 && i.sy > 0).map((i) => ({ name: i.name, ratio: i.by / i.bx, precision: Math.abs(i.bx) / i.sy, told: `${shown(i.by / i.bx)} \u00b1 ${shown(i.sy / Math.abs(i.bx))}` }));
  const lines = linesOf(at), domain = limits(values.map((v) => v.ratio), lines.map((l) => l.slope));
  draw("funnel", (room) => ({ description: `Funnel plot of ${values.length} instruments`, width: 480, height: 300, layer: [
    { data: { values }, mark: { type: "point", filled: true, size: 30, opacity: 1, color: "currentColor", clip: true }, encoding: { x: quantitative("ratio", "ratio of effects, outcome / exposure", domain),
      y: { field: "precision", type: "quantitative", title: "precision, 1 / se of the ratio" }, tooltip: told(["name", "mutant"], ["told", "ratio"]) } },
    { data: { values: lines }, mark: { type: "rule", strokeWidth: 2, clip: true }, encoding: { x: quantitative("slope", "ratio of effects, outcome / exposure", domain), color: legendOf(room) } }] }));
}

function drawLeaveOneOut(instruments, at) {
  const values = instruments.filter((i) => i.without !== null).sort((a, b) => b.without - a.without).map((i, rank) => ({ rank, name: i.name,
    estimate: i.without, low: i.without - 1.96 * i.withoutSe, high: i.without + 1.96 * i.withoutSe, told: `${shown(i.without)} \u00b1 ${shown(i.withoutSe)}` }));
  if (!values.length) return nothing("leave-one-out", "Fewer than two instruments: none can be left out.");
  const labelled = values.length <= LABELLED, ivw = pair.methods.ivw ? pair.methods.ivw.estimate[at] : null;
  const domain = limits(values.map((v) => v.estimate), [ivw, ...values.flatMap((v) => [v.low, v.high])]);
  const y = labelled ? { field: "name", type: "ordinal", sort: null, title: "without" } : { field: "rank", type: "quantitative", title: `without each of ${values.length}`, scale: { reverse: true, nice: false, domain: [-1, values.length] }, axis: { labels: false, ticks: false, grid: false } };
  return draw("leave-one-out", () => ({ description: `Leave-one-out of ${values.length} instruments`, width: 480, height: labelled ? 13 * values.length + 10 : 300, layer: [
    { data: { values }, mark: { type: "rule", color: RAISES }, encoding: { y, x: quantitative("low", "IVW without it", domain), x2: { field: "high" } } },
    { data: { values }, mark: { type: "point", filled: true, color: RAISES, opacity: 1, size: 26 }, encoding: { y, x: quantitative("estimate", "IVW without it", domain), tooltip: told(["name", "without"], ["told", "IVW"]) } },
    rule("x", ivw)] }));
}

// A row of letters a mark, and below it a row of bars for each kind of mutants of several bases.
function drawTracks(detail, number, x, y) {
  const chosen = instrumentsAt(detail, x, y).map((i) => detail.variants[i]), mutants = chosen.map((variant) => mutantOf(detail, variant));
  const at = [...new Set(mutants.filter((m) => m.kind === "single").map((m) => m.position))];
  const rows = [x, y].flatMap((m) => [...(detail.track[marks[m]].length ? [lettersOf(detail, number, m, at)] : []), ...barsOf(detail, number, m, new Set(chosen))]);
  const length = detail.sequence.length, room = (row) => (row.isLast ? 46 : 12);
  rows.forEach((row, k) => { row.isLast = k + 1 === rows.length || rows[k + 1].m !== row.m; row.y = k ? rows[k - 1].y + rows[k - 1].height + room(rows[k - 1]) : 0; });
  const last = rows[rows.length - 1];
  let width = 900;
  byId("bars-caption").hidden = !detail.others;
  draw("tracks", (wide) => {
    width = Math.max(wide - 75, 9 * length);
    return { description: `Effects along ${length} bases`, width, height: last.y + last.height, padding: 5, autosize: "pad",
      signals: [{ name: "outlines", value: letters }, { name: "colours", value: BASES }],
      scales: [{ name: "p", type: "linear", domain: [-0.5, length - 0.5], range: [0, width], zero: false, nice: false }],
      marks: rows.map((row, k) => trackOf(row, k, width, length, row === last)) };
  }, { fit: false }).then(() => { if (mutants.length) byId("tracks").scrollLeft = (Math.min(...mutants.map((m) => m.position)) / length) * width - 120; });
}

const rangeOf = (values, above, below) => {
  const top = Math.max(1e-12, ...values), low = Math.min(0, ...values), biggest = Math.max(top, -low);
  return { low: low - below * biggest, top: top + above * biggest, biggest };
};

function lettersOf(detail, number, m, at) {
  const values = detail.track[marks[m]], forward = loci.strand[number] !== "-", { low, top, biggest } = rangeOf(values, 0.05, 0.12);
  const placed = (i) => (forward ? loci.start[number] + i + 1 : loci.end[number] - i);
  return { m, title: short(marks[m], 18), height: 110, low, top, triangles: at.map((i) => ({ i })), bars: [], letters: range(detail.sequence.length).filter((i) => Math.abs(values[i]) > 0.004 * biggest)
    .map((i) => ({ i, letter: detail.sequence[i], value: values[i], name: `${i} ${detail.sequence[i]}`, place: `${loci.chrom[number]}:${placed(i)}`, told: shown(values[i]) })) };
}

function barsOf(detail, number, m, chosen) {
  const others = detail.others || { variant: [], kind: [] }, hasLetters = detail.track[marks[m]].length > 0;
  return [...new Set(others.kind)].map((kind) => {
    const bars = others.variant.flatMap((variant, k) => {
      if (others.kind[k] !== kind) return [];
      const mutant = mutantOf(detail, variant), { name, seen } = namesOf(mutant, number), value = others.loss[marks[m]][k];
      return [{ from: mutant.position - 0.5, to: mutant.position + mutant.length - 0.5, value, kind, name, seen, bases: mutant.length, draws: mutant.draws, opacity: chosen.has(variant) ? 0.85 : 0.2, told: shown(value) }];
    });
    return { m, title: hasLetters ? kind : [short(marks[m], 18), kind], height: hasLetters ? 64 : 90, ...rangeOf(bars.map((bar) => bar.value), 0.05, 0.05), triangles: [], letters: [], bars };
  });
}

// A letter's outline fills a box of 1 by 1, which is stretched to its height.
function trackOf(row, k, width, length, isLast) {
  const { height, title } = row;
  return {
    type: "group", encode: { enter: { y: { value: row.y }, width: { value: width }, height: { value: height } } },
    data: ["letters", "triangles", "bars"].map((name) => ({ name: `${name}${k}`, values: row[name] })),
    scales: [{ name: "v", type: "linear", domain: [row.low, row.top], range: [height, 0], zero: false }],
    axes: [{ orient: "left", scale: "v", title, tickCount: height > 100 ? 4 : 3, titleLimit: 130 },
      { orient: "bottom", scale: "p", tickMinStep: 1, tickCount: Math.ceil(width / 90), labelFlush: false, labels: row.isLast, ticks: row.isLast, title: isLast ? "position in the locus, from 0" : null }],
    marks: [
      { type: "rule", encode: { enter: { x: { value: 0 }, x2: { value: width }, y: { scale: "v", value: 0 }, stroke: { value: "currentColor" }, strokeOpacity: { value: 0.4 } } } },
      { type: "symbol", from: { data: `triangles${k}` }, encode: { enter: { shape: { value: "triangle-up" }, size: { value: 26 }, fill: { value: "currentColor" }, x: { scale: "p", field: "i" }, y: { value: height - 5 } } } },
      { type: "rect", from: { data: `bars${k}` }, encode: { enter: { x: { scale: "p", field: "from" }, x2: { scale: "p", field: "to" }, y: { scale: "v", value: 0 }, y2: { scale: "v", field: "value" },
        fill: { value: RAISES }, fillOpacity: { field: "opacity" }, stroke: { value: RAISES }, strokeWidth: { value: 0.6 }, tooltip: { signal: "{kind: datum.kind, mutant: datum.name, position: datum.seen, bases: datum.bases, draws: datum.draws, loss: datum.told}" } } } },
      { type: "path", from: { data: `letters${k}` }, encode: { enter: { path: { signal: "outlines[datum.letter]" }, fill: { signal: "colours[datum.letter]" },
        x: { scale: "p", signal: "datum.i - 0.46" }, y: { scale: "v", value: 0 }, scaleX: { signal: `0.92 * ${width} / ${length}` },
        scaleY: { signal: "scale('v', 0) - scale('v', datum.value)" }, tooltip: { signal: "{position: datum.name, genome: datum.place, loss: datum.told}" } } } }],
  };
}

function showInstruments(instruments, x, y) {
  const column = (title, key, help) => ({ title, help, value: (i) => instruments[i][key] });
  new DataTable("instrument-table", { caption: `Instruments for ${pairName([x, y])} at ${loci.locus[chosen.locus]}`, n: instruments.length, columns: [
    { title: "mutant", help: "Position in the genome (from 1) and letters of the plus strand, as in the VCF.", text: true, value: (i) => instruments[i].name, key: (i) => instruments[i].genomic },
    { title: "in the locus", help: "Position in the locus (from 0) and letters as the model sees them.", text: true, value: (i) => instruments[i].seen, key: (i) => instruments[i].position },
    ...(instruments.some((i) => i.kind !== "single") ? [{ title: "kind", help: "Kind of the mutant, by its name in --mutants.", text: true, value: (i) => instruments[i].kind },
      column("bases", "length", "Bases that change."), column("draws", "draws", "Replacements over which its effects are means.")] : []),
    column(`effect on ${short(marks[x], 24)}`, "bx", "Change of the exposure by the mutant."), column("se", "sx", "Its standard error."),
    column(`effect on ${short(marks[y], 24)}`, "by", "Change of the outcome by the mutant."), column("se", "sy", "Its standard error."),
    { title: "ratio", help: "Effect on the outcome per effect on the exposure: what this mutant alone says.", value: (i) => (instruments[i].bx ? instruments[i].by / instruments[i].bx : null) },
    column("IVW without", "without", "Inverse-variance weighted estimate of the locus without this mutant.")] });
}
