// Charts by Vega-Lite and Vega, drawn again when the page's width or colours change.

const LINES = [LOWERS, RAISES, "#009e73", "#cc79a7", "#b8860b", "#56b4e9", "#7a5fb0", GREY];
const BASES = { A: "#009e73", C: "#3182bd", G: "#e69f00", T: "#d55e00" };
const LABELLED = 60;
const MENU = 42; // pixels beside a chart

const config = () => ({
  background: "transparent", font: "system-ui, sans-serif", view: { stroke: "currentColor", strokeOpacity: 0.25 },
  axis: { labelColor: "currentColor", titleColor: "currentColor", tickColor: "currentColor", domainColor: "currentColor",
    gridColor: "currentColor", gridOpacity: 0.12, labelFontSize: 11, titleFontWeight: "normal", titleLimit: 260, labelOverlap: true },
  legend: { labelColor: "currentColor", titleColor: "currentColor", titleFontWeight: "normal" },
  title: { color: "currentColor", fontWeight: "normal" }, text: { color: "currentColor" },
});
const drawn = new Map();
let drawing = 0, loading = null;

// Vega, which takes longer than the first screen: the page waits for it where the first chart is drawn. The policy knows its hash.
const loaded = () => loading ??= read("charts").then((textContent) => document.head.append(make("script", { textContent })));

// specOf makes the chart for a width in pixels. The interpreter (ast) in place of compiled expressions: the page's policy allows no eval.
async function draw(id, specOf, { many = 0, onClick, fit = true } = {}) {
  const turn = ++drawing, room = (byId(id).clientWidth || 600) - MENU;
  const finalize = drawn.get(id)?.finalize;
  drawn.set(id, { turn, finalize, again: () => draw(id, specOf, { many, onClick, fit }) });
  await loaded();
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const holder = make("div"), spec = specOf(room);
  if (fit) Object.assign(spec, { width: Math.min(room, spec.width ?? room), autosize: { type: "fit-x", contains: "padding" } });
  const schema = spec.marks ? "vega/v6" : "vega-lite/v6";
  const result = await vegaEmbed(holder, { $schema: `https://vega.github.io/schema/${schema}.json`, ...spec }, {
    ast: true, renderer: many > 3000 ? "canvas" : "svg", config: config(), tooltip: { theme: dark ? "dark" : "light" },
    actions: { export: true, source: false, compiled: false, editor: false } });
  if (drawn.get(id).turn !== turn) return result.finalize();
  drawn.get(id).finalize?.();
  drawn.get(id).finalize = () => result.finalize();
  byId(id).replaceChildren(holder);
  await result.view.resize().runAsync();
  // Vega-Embed's menu and Vega's groups of marks have no names for screen readers
  holder.querySelector("summary")?.setAttribute("aria-label", "Save this chart");
  holder.querySelectorAll("[aria-roledescription]:not([aria-label])").forEach((each) => each.setAttribute("aria-label", each.getAttribute("aria-roledescription")));
  if (onClick) result.view.addEventListener("click", (event, item) => item && item.datum && onClick(item.datum));
}

function nothing(id, why) {
  drawn.get(id)?.finalize?.();
  drawn.set(id, { turn: ++drawing, again: () => {} });
  byId(id).replaceChildren(make("p", { textContent: why }));
}

const rule = (axis, value, color = LOWERS, dash = []) => ({ data: { values: value === null || value === undefined ? [] : [{ value }] },
  mark: { type: "rule", color, strokeDash: dash, strokeWidth: 1.5, clip: true }, encoding: { [axis]: { field: "value", type: "quantitative" } } });
const quantitative = (field, title, domain) => ({ field, type: "quantitative", title, scale: domain ? { domain, zero: false, nice: false } : { zero: false } });
const told = (...rows) => rows.map(([field, title]) => ({ field, title, type: "nominal" }));
