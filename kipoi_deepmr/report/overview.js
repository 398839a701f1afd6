// What the page says first, and the table of all pairs.

const effects = data.effects;
const pairNumber = new Map(pairs.map(([x, y], i) => [`${x},${y}`, i]));
const rowOf = new Map(effects.exposure.map((x, row) => [`${x},${effects.outcome[row]}`, row]));
const verdictOf = (row) => effects.verdicts[effects.verdict[row]];
const ofMethod = (row, name, method = methods[chosen.method]) => (row === undefined ? null : effects.methods[method][name]?.[row] ?? null);
const isSignificant = (row) => known(methods.map((m) => ofMethod(row, "qvalue", m))).some((q) => q < data.false_discovery_rate);

function showOverview() {
  byId("facts").append(...data.facts.map(([name, text]) => make("div", {}, make("dt", { textContent: name }), make("dd", { textContent: text }))));
  byId("headline").append(...data.sentences.map((title) => make("li", { textContent: withShortNames(title), title })));
  byId("headline").hidden = byId("headline-unit").hidden = !data.sentences.length;
  byId("verdict-none").textContent = data.no_verdicts ? `No verdicts: ${data.no_verdicts}.` : "";
  byId("left-out").hidden = !data.left_out.length;
  byId("left-out").append(...data.left_out.map((textContent) => make("p", { textContent })));
  showColours();
}

// A text in which long names are short; of names that begin alike the longest counts.
const longNames = marks.filter((name) => short(name) !== name).sort((a, b) => b.length - a.length);
document.body.classList.toggle("long-names", longNames.length > 0);
const anyLongName = longNames.length ? new RegExp(longNames.map((name) => name.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&")).join("|"), "gu") : null;
const shortened = new Map();
function withShortNames(text) {
  if (!anyLongName) return text;
  if (!shortened.has(text)) shortened.set(text, text.replace(anyLongName, (name) => short(name)));
  return shortened.get(text);
}

function showColours() {
  byId("colour-controls").hidden = !data.groups.length;
  const select = byId("colour-by");
  select.append(...["nothing", ...data.groups.map((by) => by.column)].map((textContent, i) => make("option", { value: String(i), textContent })));
  const change = () => {
    chosen.colour = Number(select.value);
    const by = data.groups[chosen.colour - 1];
    byId("colour-legend").replaceChildren(...(by ? by.groups.map((name, i) => make("span", {}, swatch(by.colours[i]), name)) : []));
  };
  select.onchange = () => { change(); showNetwork(); showHeat(); tables.forEach((table) => table.fill()); };
  chosen.colour = data.groups.length ? 1 : 0;
  select.value = String(chosen.colour);
  change();
}

function showGlobal() {
  const several = methods.length > 1, word = (method) => (several ? ` (${method})` : "");
  const verdicts = !data.no_verdicts;
  const isDirect = (row) => verdictOf(row) === "direct effect", many = marks.length > NAMED;
  new DataTable("global-table", {
    caption: "Global effects, the strongest pairs first", n: effects.exposure.length,
    filter: verdicts ? { label: "direct effects only", keep: isDirect, first: many && range(effects.exposure.length).some(isDirect) }
      : { label: `significant only (false discovery rate ${100 * data.false_discovery_rate} %)`, keep: isSignificant },
    columns: [
      { title: "exposure", help: "The mark that acts.", text: true, value: (row) => marks[effects.exposure[row]], mark: (row) => effects.exposure[row] },
      { title: "outcome", help: "The mark that is acted on.", text: true, value: (row) => marks[effects.outcome[row]], mark: (row) => effects.outcome[row] },
      ...(verdicts ? [{ title: "verdict", help: "What the run concludes for the pair. A direct effect goes through no other mark of the model.", text: true, long: true, value: verdictOf }] : []),
      { title: "sd per sd", help: "Global effect by the first method, in standard deviations of the outcome per standard deviation of the exposure. Sorts by size.",
        value: (row) => effects.standardised[row], key: (row) => (effects.standardised[row] === null ? null : Math.abs(effects.standardised[row])) },
      ...methods.flatMap((m) => [
        { title: `effect${word(m)}`, help: `Change of the outcome per unit of the exposure over all loci by ${m} (random effects).`, value: (row) => ofMethod(row, "estimate", m) },
        { title: `95 % interval${word(m)}`, help: "Where the effect lies with 95 % confidence. Sorts by the lower end.", value: (row) => [ofMethod(row, "ci_low", m), ofMethod(row, "ci_high", m)],
          key: (row) => ofMethod(row, "ci_low", m), show: ([low, high]) => (low === null ? "NA" : between(low, high)) },
        { title: `adjusted p${word(m)}`, help: "p-value of no effect at all, after Benjamini and Hochberg's correction for all pairs of the method.", value: (row) => ofMethod(row, "qvalue", m), show: shownP }]),
      { title: "loci", help: "Loci with an estimate by the first method.", value: (row) => ofMethod(row, "n_loci", methods[0]) },
      { title: "\u03c4", help: "Standard deviation of the effect between loci, beyond the errors of the estimates.", value: (row) => ofMethod(row, "tau", methods[0]) },
      { title: "I\u00b2", help: "Share of the spread of local effects that errors do not explain.", value: (row) => ofMethod(row, "i2", methods[0]) },
      ...(verdicts ? [{ title: "reason", help: "The numbers behind the verdict.", text: true, long: true, value: (row) => effects.reason[row] }] : []),
    ],
    onChoose: (row) => () => openPair(effects.exposure[row], effects.outcome[row]),
  });
}

// Shows a pair that was clicked: its loci, or where the page holds none of them its row in the table.
function openPair(x, y) {
  const number = pairNumber.get(`${x},${y}`);
  byId("link-problem").hidden = true;
  if (number !== undefined) {
    showPair(number);
    return byId("pair").scrollIntoView();
  }
  problem(`The page holds no local effects of ${pairName([x, y])}, only those of ${counted(pairs.length, "pair")}. Its global effect is in the table${rowOf.has(`${x},${y}`) ? "" : " global.tsv"}.`);
  const table = tables.get("global-table");
  table.search.value = `${marks[x]} ${marks[y]}`;
  table.only.checked = false;
  table.update();
  byId("link-problem").scrollIntoView();
}

function problem(text) {
  byId("link-problem").hidden = false;
  byId("link-problem").textContent = text;
}

function showRules() {
  const rules = data.rules;
  byId("rules").hidden = !rules;
  if (!rules) return;
  const number = (title, name, help, show) => ({ title, help, value: (i) => rules[name][i], show });
  const text = (title, help) => ({ title, help, text: true, value: (i) => rules[title][i] });
  new DataTable("rules-table", {
    caption: "Global effects by direct instruments and by regions", n: rules.method.length,
    columns: [text("exposure", "The mark that acts."), text("outcome", "The mark that is acted on."), text("method", "How the effects were estimated."),
      number("loci", "n_loci", "Loci with an estimate by both rules."), number("direct", "direct", "Effect by direct instruments."), number("regions", "regions", "Effect by instruments in your regions."),
      number("difference", "difference", "The one minus the other."), number("95 % low", "ci_low", "Lower end of the difference's interval."), number("95 % high", "ci_high", "Upper end of the difference's interval."),
      number("p", "pvalue", "p-value of no difference.", shownP), number("Spearman over loci", "spearman", "Rank correlation of the two rules' local effects.")],
    onChoose: (i) => () => openPair(marks.indexOf(rules.exposure[i]), marks.indexOf(rules.outcome[i])),
  });
}
