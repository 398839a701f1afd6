// Links to a pair and a locus, provenance, and the start.

const encoded = (name) => encodeURIComponent(name).replaceAll("'", "%27");

function setLink() {
  const [x, y] = pairs[chosen.pair], locus = chosen.locus === null ? "" : `&locus=${encoded(loci.locus[chosen.locus])}`;
  try {
    history.replaceState(null, "", `${location.href.split("#")[0]}#pair=${encoded(marks[x])}>${encoded(marks[y])}${locus}`);
  } catch { /* a page inside another, as in a notebook, has no address of its own */ }
}

function decoded(text) {
  try { return decodeURIComponent(text); } catch { return null; }
}

// Where a link leads: numbers of a pair and a locus, or what is wrong with it; null if it names neither.
function linked(hash) {
  const parts = new Map(hash.replace(/^#/, "").split("&").map((part) => { const at = part.indexOf("="); return at < 0 ? [part, ""] : [part.slice(0, at), part.slice(at + 1)]; }));
  if (!parts.has("pair") && !parts.has("locus")) return null;
  let index = chosen.pair, locus = null;
  if (parts.has("pair")) {
    // browsers write > as %3E, as it is written within a name: what matters is which parts are marks
    const pieces = parts.get("pair").split(/>|%3E/i);
    const ways = range(pieces.length - 1).map((i) => [pieces.slice(0, i + 1), pieces.slice(i + 1)].map((half) => marks.indexOf(decoded(half.join("%3E")))));
    const [x, y] = ways.find((way) => way.every((mark) => mark >= 0)) ?? [-1, -1];
    if (x < 0) return { wrong: `The link names a pair that is not in this report: ${decoded(parts.get("pair")) ?? parts.get("pair")}.` };
    index = pairNumber.get(`${x},${y}`);
    if (index === undefined) return { pair: [x, y] };
  }
  if (parts.has("locus")) {
    const name = decoded(parts.get("locus"));
    locus = loci.locus.indexOf(name);
    if (locus < 0) return { wrong: `The link names a locus that is not in this report: ${name ?? parts.get("locus")}.`, index };
  }
  return { index, locus };
}

async function follow() {
  const link = linked(location.hash);
  if (!link) return false;
  byId("link-problem").hidden = true;
  if (link.pair) openPair(...link.pair);
  if (link.wrong) problem(link.wrong);
  if (link.index === undefined) return false;
  await showPair(link.index, link.locus ?? null);
  if (!link.wrong) byId(link.locus === null ? "pair" : "locus").scrollIntoView();
  return true;
}

function showProvenance() {
  byId("provenance-list").append(...data.provenance.flatMap(([name, text]) => [make("dt", { textContent: name }), make("dd", { textContent: text })]));
  Object.entries(data.dropped).forEach(([reason, names]) => byId("dropped").append(make("p", { textContent: `${counted(names.length, "locus", "loci")} dropped: ${reason}: ${names.slice(0, 10).join(", ")}${names.length > 10 ? ` and ${names.length - 10} more` : ""}` })));
  byId("command").hidden = !data.command;
  byId("command-line").textContent = data.command;
  byId("copy-command").onclick = async () => {
    getSelection().selectAllChildren(byId("command-line"));
    try { await navigator.clipboard.writeText(data.command); byId("copy-command").textContent = "Copied"; } catch { byId("copy-command").textContent = "Selected"; }
  };
}

function listen() {
  methods.forEach((name, i) => byId("method").append(make("option", { value: String(i), textContent: name })));
  byId("method").onchange = (event) => { chosen.method = Number(event.target.value); showPair(chosen.pair); };
  byId("pair-select").append(...pairs.map((p, i) => make("option", { value: String(i), textContent: shortPair(p, 60), title: pairName(p) })));
  byId("pair-select").onchange = (event) => showPair(Number(event.target.value));
  byId("assembly").append(...["", ...data.assemblies].map((value) => make("option", { value, textContent: value || "not known" })));
  byId("assembly").value = data.assembly;
  byId("assembly").onchange = showBrowsers;
  byId("locus-input").onchange = (event) => {
    const number = pair.locus.find((i) => loci.locus[i] === event.target.value);
    if (number !== undefined) return void showLocus(number);
    event.target.setCustomValidity("No such locus");
    event.target.reportValidity();
  };
  const redraw = () => { showNetwork(); showHeat(); drawn.forEach((chart) => chart.again()); };
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  let width = innerWidth, waiting = 0;
  addEventListener("resize", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => { if (innerWidth !== width) { width = innerWidth; redraw(); } }, 150);
  });
  addEventListener("hashchange", follow);
}

showOverview();
showNetwork();
showHeat();
showGlobal();
showShapes();
showInteractions();
showRules();
showProvenance();
listen();
document.documentElement.dataset.seen = "yes";
// the browser shows this much before the charts are drawn; in a tab behind others there are no frames
await new Promise((go) => { requestAnimationFrame(() => setTimeout(go)); setTimeout(go, 100); });
await Promise.all([follow().then((followed) => followed || showPair(0)), showInteraction(0)]);
document.documentElement.dataset.ready = "yes";
