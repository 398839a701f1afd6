// The data of the page, and how numbers and names become text. Text reaches the page as text alone: textContent, attributes, data of charts.

const byId = (id) => document.getElementById(id);

// A block of the page, unpacked; null where the page holds none of that name.
async function read(id) {
  const held = byId(id);
  if (!held) return null;
  const packed = atob(held.textContent), bytes = new Uint8Array(packed.length);
  for (let i = 0; i < packed.length; i++) bytes[i] = packed.charCodeAt(i);
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"))).json();
}

const [data, letters] = await Promise.all([read("data"), read("letters")]);
const { marks, methods, pairs, loci } = data;
const ARROW = " \u2192 ";
const [LOWERS, RAISES, GREY] = ["#d55e00", "#0072b2", "#888888"]; // as in plots/axes.py
const SIGNS = { green: "\u25cf", amber: "\u25b2", red: "\u25a0", none: "\u2013" };
const chosen = { method: 0, pair: 0, locus: null, colour: 0 };

function make(tag, properties = {}, ...children) {
  const { attributes = {}, ...own } = properties;
  const made = Object.assign(document.createElement(tag), own);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

function makeSvg(tag, attributes = {}, textContent = "") {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (textContent) made.textContent = textContent;
  return made;
}

function shown(x) {
  if (x === null || x === undefined) return "NA";
  if (typeof x === "string" || Number.isInteger(x)) return String(x);
  const size = Math.abs(x);
  return size !== 0 && (size < 1e-3 || size >= 1e5) ? x.toExponential(2) : String(Number(x.toPrecision(4)));
}

// Long names of marks without what tells none of them apart: words that more than half of them have, and how all begin.
function leanNames(names) {
  if (names.length < 3) return new Map();
  const wordsOf = (name) => name.split(/(?<=[^\p{L}\p{N}])/u), uses = new Map();
  names.forEach((name) => new Set(wordsOf(name)).forEach((word) => uses.set(word, (uses.get(word) ?? 0) + 1)));
  const lean = names.map((name) => wordsOf(name).map((word) => (uses.get(word) > names.length / 2 ? "\u2026" : word)).join("").replace(/\u2026+/g, "\u2026"));
  let same = 0;
  while (lean.every((name) => name.length > same + 1 && name[same] === lean[0][same])) same++;
  const all = lean.map((name) => (same > 2 ? "\u2026" + name.slice(same) : name));
  return new Set(all).size < all.length ? new Map() : new Map(names.map((name, i) => [name, all[i]]));
}

const LONG_NAME = 34, lean = leanNames(marks.filter((name) => [...name].length > LONG_NAME));

// The middle of a long name is left out: ends tell names apart.
function short(name, most = LONG_NAME) {
  if ([...name].length <= most) return name;
  const all = [...(lean.get(name) ?? name)];
  if (all.length <= most) return all.join("");
  const head = Math.ceil((most - 1) / 2);
  return (all.slice(0, head).join("") + "\u2026" + all.slice(all.length - (most - 1 - head)).join("")).replace(/\u2026+/g, "\u2026");
}

const shownP = (p) => (p === null || p === undefined ? "NA" : p < 1e-300 ? "<1e-300" : shown(p));
const between = (low, high) => `[${shown(low)}, ${shown(high)}]`;
const pairName = ([x, y]) => marks[x] + ARROW + marks[y];
const shortPair = ([x, y], most) => short(marks[x], most) + ARROW + short(marks[y], most);
const range = (n) => Array.from({ length: n }, (_, i) => i);
const known = (values) => values.filter((v) => v !== null && v !== undefined);
const counted = (n, name, names = name + "s") => `${n.toLocaleString("en")} ${n === 1 ? name : names}`;

// How wide a text is, in pixels, in the page's font of that size.
const pen = make("canvas").getContext("2d");
function widthOf(text, size = 12) {
  pen.font = `${size}px system-ui, sans-serif`;
  return pen.measureText(text).width;
}

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

// The colour of a mark by the chosen column of the table of marks; null without one.
function colourOf(mark) {
  const by = data.groups[chosen.colour - 1];
  return by && by.of[mark] >= 0 ? by.colours[by.of[mark]] : null;
}
