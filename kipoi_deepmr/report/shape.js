// The shape of an effect: the curve of a pair with its interval, its words, slopes and states, and a table of all shapes.

const shapeNumber = new Map(data.shapes.pairs.map((number, i) => [number, i]));
const PLACES = ["at the reference", "at half of full ablation", "at full ablation"];
const slopeText = ([slope, low, high]) => `${shown(slope)} ${between(low, high)}`;
const dependsOn = (states) => states.map(({ level, verdict }) => `${level}: ${verdict}`).join("; ");

function showShapes() {
  const { pairs: numbers, note, word, slopes, states } = data.shapes;
  byId("shapes").hidden = !numbers.length && !note;
  byId("shapes-note").textContent = note;
  if (!numbers.length) return;
  const slope = (k) => ({ title: `slope ${PLACES[k]}`, help: "Change of the outcome per unit of the exposure there, with its 95 % interval.", value: (i) => slopes[i][k], key: (i) => slopes[i][k][0], show: slopeText });
  new DataTable("shapes-table", {
    caption: "Shapes of the strongest direct effects", n: numbers.length,
    columns: [
      { title: "exposure", help: "The mark that acts.", text: true, value: (i) => marks[pairs[numbers[i]][0]], mark: (i) => pairs[numbers[i]][0] },
      { title: "outcome", help: "The mark that is acted on.", text: true, value: (i) => marks[pairs[numbers[i]][1]], mark: (i) => pairs[numbers[i]][1] },
      { title: "shape", help: "What the curve is called: linear, saturating (flatter where there is much of the exposure), threshold (flatter where there is little).", text: true, value: (i) => word[i] },
      slope(0), slope(1), slope(2),
      { title: "depends on", help: "Levels at the locus on which the effect depends.", text: true, long: true, value: (i) => dependsOn(states[i]) }],
    onChoose: (i) => () => openPair(...pairs[numbers[i]]),
  });
}

async function showShape(index, turn) {
  const [x, y] = pairs[index], shape = await read(`shape-${index}`);
  if (turn !== pairTurn) return;
  byId("shape-figure").hidden = !shape;
  byId("shape-states").replaceChildren();
  if (!shape) {
    byId("shape-summary").textContent = shapeNumber.size ? `The page holds the shapes of ${counted(shapeNumber.size, "direct effect")}, the strongest. For this pair, run kipoi deepmr shape.`
      : data.shapes.note || "The page holds no shapes: the run has no direct effect, or not the effects of its members.";
    return;
  }
  const turns = shape.turn === null ? "" : ` ${shape.word === "saturating" ? "Above" : "Below"} an effect of ${shown(shape.turn)} on ${marks[x]} the slope is less than half of the steepest.`;
  byId("shape-summary").textContent = `${shape.word} (${counted(shape.n_loci, "locus", "loci")}, ${counted(shape.n_instruments, "instrument")}). `
    + `Slope ${PLACES.map((place, k) => `${place} ${slopeText(shape.slopes[k])}`).join("; ")}.${turns} `
    + `Test against a line: p = ${shownP(shape.pvalue)}; that it bends by more than the minimum: p = ${shownP(shape.pvalue_min_bend)}.`;
  byId("shape-states").append(...shape.states.map((each) => make("li", {}, make("strong", { textContent: `${each.level}: ${each.verdict}. ` }),
    `Slope ${slopeText(each.low.slice(1))} where its level is low (${shown(each.low[0])}), ${slopeText(each.high.slice(1))} where it is high (${shown(each.high[0])}); adjusted p ${shownP(each.pvalue)}.`)));
  if (!shape.states.length) byId("shape-states").append(make("li", { textContent: `The slope does not clearly depend on the level of ${shape.levels.join(", ")}.` }));
  const { points, curve } = shape, all = points.x.length;
  byId("shape-caption").textContent = `A point is a mutant at a locus${all < shape.n_points ? ` (${all.toLocaleString("en")} of ${shape.n_points.toLocaleString("en")})` : ""}. Blue: the curve with its 95 % interval; dashed: a line of the same mean slope; 0 is the reference.`;
  const values = points.x.map((at, i) => ({ x: at, y: points.y[i], at: points.locus[i], name: points.locus[i] === null ? "" : loci.locus[points.locus[i]], told: shown(at), told2: shown(points.y[i]) }));
  const band = curve.x.map((at, i) => ({ x: at, y: curve.y[i], low: curve.ci_low[i], high: curve.ci_high[i] }));
  const ends = band[0].x === 0 ? band[band.length - 1] : band[0];
  const ex = (field) => ({ field, type: "quantitative", title: `effect on ${short(marks[x], 24)}`, scale: { domain: limits(points.x, curve.x), zero: false, nice: false } });
  const ey = (field) => ({ field, type: "quantitative", title: `effect on ${short(marks[y], 24)}`, scale: { domain: limits(points.y, [...curve.ci_low, ...curve.ci_high]), zero: false, nice: false } });
  await draw("shape", (room) => ({ description: `Curve of ${pairName([x, y])}: ${shape.word}`, width: Math.min(room, 620), height: 320, layer: [
    { data: { values }, mark: { type: "point", filled: true, size: 12, opacity: 0.5, color: GREY, clip: true, cursor: "pointer" }, encoding: { x: ex("x"), y: ey("y"), tooltip: told(["name", "locus"], ["told", "exposure"], ["told2", "outcome"]) } },
    rule("x", 0, GREY), rule("x", shape.turn, RAISES, [2, 3]),
    { data: { values: band }, mark: { type: "area", color: RAISES, opacity: 0.25, clip: true }, encoding: { x: ex("x"), y: ey("low"), y2: { field: "high" } } },
    { data: { values: [{ x: 0, y: 0 }, { x: ends.x, y: ends.y }] }, mark: { type: "line", color: LOWERS, strokeDash: [5, 4], strokeWidth: 1.5, clip: true }, encoding: { x: ex("x"), y: ey("y") } },
    { data: { values: band }, mark: { type: "line", color: RAISES, strokeWidth: 2.5, clip: true }, encoding: { x: ex("x"), y: ey("y") } }] }),
  { many: all, onClick: ({ at }) => Number.isInteger(at) && pair.locus.includes(at) && goToLocus(at) });
}
