// Two regions together: a table of all pairs and outcomes, and the figure of the chosen one.

const both = data.interactions;
let interactionTurn = 0;

function showInteractions() {
  const n = both.verdict?.length ?? 0;
  byId("interactions").hidden = byId("interactions-link").hidden = !n && !both.note;
  byId("interactions-help").hidden = !n;
  const scale = both.scale && both.scale !== "identity" ? `Effects are on the scale ${both.scale}. ` : "";
  byId("interactions-note").textContent = `${both.source ? `From ${both.source}. ` : ""}${scale}${both.note}`;
  if (!n) return;
  const number = new Map(marks.map((name, i) => [name, i]));
  const mark = (title, help) => ({ text: true, value: (i) => both[title][i], mark: (i) => number.get(both[title][i]), title: title === "outcome" ? title : "region", help });
  const effect = (title, name, help) => ({ title, help, value: (i) => both[name][i], key: (i) => both[name][i] && Math.abs(both[name][i]) });
  new DataTable("interactions-table", {
    caption: "Effects of two regions, the clearest interactions first", n,
    columns: [
      mark("exposure", "The mark whose region is lost first."), mark("exposure_2", "The mark whose region is lost second."), mark("outcome", "The mark that is acted on."),
      { title: "verdict", help: "Whether the effects add up.", text: true, value: (i) => both.verdict[i] },
      { title: "interaction", help: "The effect of both regions less that of each alone, with its 95 % interval. Sorts by size.", value: (i) => withInterval(i, "interaction"), key: (i) => both.interaction[i] && Math.abs(both.interaction[i]), show: slopeText },
      effect("without 1st", "effect", "What losing the first region does to the outcome."), effect("without 2nd", "effect_2", "What losing the second region does to the outcome."),
      effect("without both", "effect_both", "What losing both does to the outcome."),
      { title: "adjusted p", help: "p-value that the interaction is at most the minimum, after Benjamini and Hochberg's correction.", value: (i) => both.qvalue_beyond[i], show: shownP },
      { title: "loci", help: "Loci that have both regions.", value: (i) => both.n_loci[i] },
      { title: "model", help: "What fits best: the effects add up, multiply, or are those of an AND or an OR.", text: true, value: (i) => both.model[i] }],
    onChoose: (i) => () => showInteraction(i),
  });
}

const withInterval = (i, name) => ["", "_ci_low", "_ci_high"].map((end) => both[name + end][i]);

// Shows the row of that number, if there is one.
async function showInteraction(i) {
  if (!both.verdict?.length) return undefined;
  const turn = ++interactionTurn, held = await read(`interaction-${i}`), [a, b, y] = ["exposure", "exposure_2", "outcome"].map((role) => both[role][i]);
  if (turn !== interactionTurn) return undefined;
  byId("interaction-shown").hidden = false;
  byId("interaction-summary").textContent = `${short(a)} and ${short(b)} on ${short(y)}: ${both.verdict[i]}. Interaction ${slopeText(withInterval(i, "interaction"))}, ${counted(both.n_loci[i], "locus", "loci")}.`;
  const drawable = both.effect_both[i] !== null;
  return Promise.all([drawable ? drawMeans(i, a, b, y) : nothing("interaction-means", "Too few loci have both regions."), drawable && held ? drawBoth(held)
    : nothing("interaction-loci", drawable ? `The page holds the loci of ${counted(both.figures.length, "row")}, the clearest; kipoi deepmr interaction writes all.` : "")]);
}

function drawMeans(i, a, b, y) {
  const names = [`without ${short(a, 16)}`, `without ${short(b, 16)}`, "sum", "without both"], sum = both.effect[i] + both.effect_2[i];
  if (names[0] === names[1]) names[1] += " (2nd)";
  const values = ["effect", "effect_2", "effect_both"].map((name, k) => {
    const [mean, low, high] = withInterval(i, name);
    return { name: names[[0, 1, 3][k]], mean, low, high, told: slopeText([mean, low, high]) };
  });
  const ex = { field: "name", type: "nominal", title: null, scale: { domain: names }, axis: { labelAngle: innerWidth > 640 ? 0 : -30, labelLimit: 130, labelOverlap: false } };
  const ey = (field) => ({ field, type: "quantitative", title: `effect on ${short(y, 24)}`, scale: { zero: true } });
  const tooltip = told(["name", "region"], ["told", "effect"]);
  return draw("interaction-means", (room) => ({ description: `Effects of two regions: ${both.verdict[i]}`, width: Math.min(room, 460), height: 260, layer: [
    rule("y", 0, GREY), rule("y", sum, LOWERS, [5, 4]),
    { data: { values: [{ name: "sum", mean: sum, told: shown(sum) }] }, mark: { type: "point", shape: "diamond", filled: true, size: 90, opacity: 1, color: LOWERS }, encoding: { x: ex, y: ey("mean"), tooltip } },
    { data: { values }, mark: { type: "rule", color: RAISES, strokeWidth: 2 }, encoding: { x: ex, y: ey("low"), y2: { field: "high" } } },
    { data: { values }, mark: { type: "point", filled: true, size: 70, opacity: 1, color: RAISES }, encoding: { x: ex, y: ey("mean"), tooltip } }] }));
}

function drawBoth(held) {
  const points = held.sum.map((x, k) => ({ x, y: held.both[k], name: held.locus[k], told: shown(x), told2: shown(held.both[k]) }));
  const domain = limits([...held.sum, ...held.both, 0]), axis = (field, title) => ({ field, type: "quantitative", title, scale: { domain, zero: false, nice: false } });
  const [x, y] = [axis("x", "sum of the two effects"), axis("y", "effect of both")];
  byId("interaction-caption").textContent = `A point is a locus${points.length < held.n ? ` (${points.length.toLocaleString("en")} of ${held.n.toLocaleString("en")})` : ""}. Independent regions lie on the dashed line.`;
  return draw("interaction-loci", (room) => ({ description: "The effect of both regions against the sum of their effects", width: Math.min(room, 460), height: 260, layer: [
    { data: { values: domain.map((at) => ({ x: at, y: at })) }, mark: { type: "line", color: LOWERS, strokeDash: [5, 4], strokeWidth: 1.5 }, encoding: { x, y } },
    { data: { values: points }, mark: { type: "point", filled: true, size: 22, opacity: 0.7, color: RAISES, clip: true }, encoding: { x, y, tooltip: told(["name", "locus"], ["told", "sum of the two"], ["told2", "effect of both"]) } }] }));
}
