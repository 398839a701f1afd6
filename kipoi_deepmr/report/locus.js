// One locus: effects along the sequence, its instruments in the genome, every method's line.

const COMPLEMENT = { A: "T", C: "G", G: "C", T: "A" };
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

// Positions and letters of instruments in the genome (from 1, plus strand) and as the model sees them (from 0).
function instrumentsOf(detail, number, x, y) {
  const without = (detail.without[marks[x]] || {})[marks[y]] || { estimate: [], se: [] }, forward = loci.strand[number] !== "-";
  return instrumentsAt(detail, x, y).map((i, k) => {
    const variant = detail.variants[i], position = Math.floor(variant / 3), ref = detail.sequence[position];
    const alt = "ACGT".replace(ref, "")[variant % 3], genomic = forward ? loci.start[number] + position + 1 : loci.end[number] - position;
    const [from, to] = forward ? [ref, alt] : [ref, alt].map((base) => COMPLEMENT[base] ?? base);
    return { at: number, position, genomic, name: `${loci.chrom[number]}:${genomic} ${from}>${to}`, seen: `${position} ${ref}>${alt}`, bx: detail.effect[marks[x]][i], by: detail.effect[marks[y]][i],
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

// One row of letters a mark; a letter's outline fills a box of 1 by 1, which is stretched to its height.
function drawTracks(detail, number, x, y) {
  const length = detail.sequence.length, height = 110, gap = 46, forward = loci.strand[number] !== "-";
  const at = [...new Set(instrumentsAt(detail, x, y).map((i) => Math.floor(detail.variants[i] / 3)))];
  const placed = (i) => (forward ? loci.start[number] + i + 1 : loci.end[number] - i);
  const tracks = [x, y].map((m, k) => {
    const values = detail.track[marks[m]], top = Math.max(1e-12, ...values), low = Math.min(0, ...values), biggest = Math.max(top, -low);
    return { mark: short(marks[m], 18), k, low: low - 0.12 * biggest, top: top + 0.05 * biggest, letters: range(length).filter((i) => Math.abs(values[i]) > 0.004 * biggest)
      .map((i) => ({ i, letter: detail.sequence[i], value: values[i], name: `${i} ${detail.sequence[i]}`, place: `${loci.chrom[number]}:${placed(i)}`, told: shown(values[i]) })) };
  });
  let width = 900;
  const group = (t) => ({
    type: "group", encode: { enter: { y: { value: t.k * (height + gap) }, width: { value: width }, height: { value: height } } },
    data: [{ name: `letters${t.k}`, values: t.letters }, { name: `instruments${t.k}`, values: at.map((i) => ({ i })) }],
    scales: [{ name: "v", type: "linear", domain: [t.low, t.top], range: [height, 0], zero: false }],
    axes: [{ orient: "left", scale: "v", title: t.mark, tickCount: 4, titleLimit: 130 }, { orient: "bottom", scale: "p", tickMinStep: 1, tickCount: Math.ceil(width / 90), labelFlush: false, title: t.k ? "position in the locus, from 0" : null }],
    marks: [
      { type: "rule", encode: { enter: { x: { value: 0 }, x2: { value: width }, y: { scale: "v", value: 0 }, stroke: { value: "currentColor" }, strokeOpacity: { value: 0.4 } } } },
      { type: "symbol", from: { data: `instruments${t.k}` }, encode: { enter: { shape: { value: "triangle-up" }, size: { value: 26 }, fill: { value: "currentColor" }, x: { scale: "p", field: "i" }, y: { value: height - 5 } } } },
      { type: "path", from: { data: `letters${t.k}` }, encode: { enter: { path: { signal: "outlines[datum.letter]" }, fill: { signal: "colours[datum.letter]" },
        x: { scale: "p", signal: "datum.i - 0.46" }, y: { scale: "v", value: 0 }, scaleX: { signal: `0.92 * ${width} / ${length}` },
        scaleY: { signal: "scale('v', 0) - scale('v', datum.value)" }, tooltip: { signal: "{position: datum.name, genome: datum.place, loss: datum.told}" } } } }],
  });
  draw("tracks", (room) => {
    width = Math.max(room - 75, 9 * length);
    return { description: `Effects along ${length} bases`, width, height: 2 * height + gap, padding: 5, autosize: "pad",
      signals: [{ name: "outlines", value: letters }, { name: "colours", value: BASES }],
      scales: [{ name: "p", type: "linear", domain: [-0.5, length - 0.5], range: [0, width], zero: false, nice: false }],
      marks: tracks.map(group) };
  }, { fit: false }).then(() => { if (at.length) byId("tracks").scrollLeft = (Math.min(...at) / length) * width - 120; });
}

function showInstruments(instruments, x, y) {
  const column = (title, key, help) => ({ title, help, value: (i) => instruments[i][key] });
  new DataTable("instrument-table", { caption: `Instruments for ${pairName([x, y])} at ${loci.locus[chosen.locus]}`, n: instruments.length, columns: [
    { title: "mutant", help: "Position in the genome (from 1) and letters of the plus strand, as in the VCF.", text: true, value: (i) => instruments[i].name, key: (i) => instruments[i].genomic },
    { title: "in the locus", help: "Position in the locus (from 0) and letters as the model sees them.", text: true, value: (i) => instruments[i].seen, key: (i) => instruments[i].position },
    column(`effect on ${short(marks[x], 24)}`, "bx", "Change of the exposure by the mutant."), column("se", "sx", "Its standard error."),
    column(`effect on ${short(marks[y], 24)}`, "by", "Change of the outcome by the mutant."), column("se", "sy", "Its standard error."),
    { title: "ratio", help: "Effect on the outcome per effect on the exposure: what this mutant alone says.", value: (i) => (instruments[i].bx ? instruments[i].by / instruments[i].bx : null) },
    column("IVW without", "without", "Inverse-variance weighted estimate of the locus without this mutant.")] });
}
