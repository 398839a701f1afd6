// The causal network: drag a mark, point at it or at an arrow, hide small effects, click an arrow to open its pair.

const net = data.network;
const NAMED = 40, NUMBERED = 30, FOCUSABLE = 60, SHOWN_FIRST = 150;
const netView = { at: 0, scale: 1, x: 0, y: 0, places: null, queued: false };

function showNetwork() {
  byId("network-figure").hidden = Boolean(net.none);
  if (net.none) return;
  if (!byId("network").firstChild) makeNetworkControls();
  const width = byId("network").clientWidth || 480, n = net.marks.length;
  const height = Math.round(Math.min(0.9 * width, n <= 4 ? 300 : n <= 12 ? 380 : n <= 40 ? 480 : 560));
  const names = net.marks.map((mark) => short(marks[mark], 22));
  const room = Math.min(0.22 * width, Math.max(20, ...names.map((name) => widthOf(name) / 2 + 8)));
  const [inX, inY] = [room, 28];
  Object.assign(netView, { width, height, names, radius: n > 60 ? 4.5 : 7, of: new Map(net.marks.map((mark, k) => [mark, k])) });
  netView.places ??= net.x.map((x, k) => [x, net.y[k]]);
  // one unit is as long across as down, but for a picture that would be much wider or higher than the page has room for
  const sides = [width - 2 * inX, height - 2 * inY], least = Math.min(...sides), [sx, sy] = sides.map((side) => Math.min(side, 1.5 * least)), centre = [width / 2, height / 2];
  netView.on = (place) => place.map((p, k) => (p - 0.5) * [sx, sy][k] * netView.scale + centre[k] + [netView.x, netView.y][k]);
  netView.back = (...at) => at.map((p, k) => (p - [netView.x, netView.y][k] - centre[k]) / netView.scale / [sx, sy][k] + 0.5);
  paintNetwork();
}

function makeNetworkControls() {
  const sizes = net.effect.map(Math.abs), total = sizes.length;
  const slider = make("input", { type: "range", min: "1", max: String(total), step: "1", value: String(Math.min(total, SHOWN_FIRST)), id: "network-slider" });
  const size = make("output", { id: "network-size" });
  const controls = make("div", { className: "controls" });
  netView.at = Math.min(total, SHOWN_FIRST);
  const change = () => {
    netView.at = Number(slider.value);
    size.textContent = `at least ${shown(sizes[netView.at - 1])}: ${netView.at.toLocaleString("en")} of ${counted(total, "effect")}`;
    slider.setAttribute("aria-valuetext", size.textContent);
    if (netView.width) paintNetwork();
  };
  slider.oninput = change;
  if (total > 1) controls.append(make("label", {}, "Size ", slider), size);
  if (total) change();
  if (net.marks.length > NAMED) controls.append(...zoomButtons((by) => { netView.scale = Math.max(1, by ? netView.scale * by : 1); if (netView.scale === 1) netView.x = netView.y = 0; paintNetwork(); }));
  const svg = makeSvg("svg", { role: "group", "aria-label": "Causal network" });
  const says = make("p", { id: "network-told", className: "told", attributes: { "aria-live": "polite" } });
  byId("network").append(controls, svg, says);
  netView.svg = svg;
  netView.says = says;
  letDrag(svg);
  byId("network-caption").textContent = total ? `Direct effects beyond the minimum in standard deviations${net.doubtful.some(Boolean) ? "; dashed: doubtful" : ""}. Blue raises, orange lowers the outcome; a hollow circle has no mutants of its own. Drag a mark; click an arrow to open the pair.${net.alone ? ` ${counted(net.alone, "mark")} without such an effect ${net.alone === 1 ? "is" : "are"} not drawn.` : ""}`
    : "No direct effect is beyond the minimum.";
}

const zoomButtons = (zoom) => [["+", "Zoom in", 1.5], ["\u2212", "Zoom out", 1 / 1.5], ["All", "Show all", 0]].map(([textContent, title, by]) => make("button", { type: "button", textContent, title, attributes: { "aria-label": title }, onclick: () => zoom(by) }));

function letDrag(svg) {
  let held = null;
  const at = (event) => { const box = svg.getBoundingClientRect(); return [event.clientX - box.left, event.clientY - box.top]; };
  svg.addEventListener("pointerdown", (event) => {
    const [px, py] = at(event), mark = event.target.dataset?.mark;
    if (event.target.classList.contains("hit")) return;
    held = mark === undefined ? { from: [px - netView.x, py - netView.y] } : { mark: Number(mark) };
    if (mark === undefined && netView.scale === 1) held = null;
    if (held) svg.setPointerCapture(event.pointerId);
  });
  svg.addEventListener("pointermove", (event) => {
    if (!held) return;
    const [px, py] = at(event);
    if (held.from) [netView.x, netView.y] = [px - held.from[0], py - held.from[1]];
    else netView.places[held.mark] = netView.back(Math.max(netView.radius, Math.min(netView.width - netView.radius, px)), Math.max(netView.radius, Math.min(netView.height - netView.radius, py)));
    if (netView.queued) return;
    netView.queued = true;
    requestAnimationFrame(() => { netView.queued = false; paintNetwork(); });
  });
  for (const end of ["pointerup", "pointercancel"]) svg.addEventListener(end, () => { held = null; });
  svg.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    netView.scale = Math.max(1, Math.min(20, netView.scale * (event.deltaY < 0 ? 1.2 : 1 / 1.2)));
    paintNetwork();
  }, { passive: false });
}

// An arrow from one place to another, bent where another runs the other way: its line, its head, its middle.
function arrow([ax, ay], [bx, by], bend, width) {
  const [dx, dy] = [bx - ax, by - ay], far = Math.hypot(dx, dy) || 1, head = Math.min(6 + 1.5 * width, far / 2);
  const [cx, cy] = [(ax + bx) / 2 - bend * dy, (ay + by) / 2 + bend * dx];
  const out = Math.hypot(cx - ax, cy - ay) || 1, into = Math.hypot(bx - cx, by - cy) || 1;
  const [ux, uy] = [(bx - cx) / into, (by - cy) / into];
  const start = [ax + ((cx - ax) / out) * netView.radius, ay + ((cy - ay) / out) * netView.radius];
  const tip = [bx - ux * (netView.radius + 1.5), by - uy * (netView.radius + 1.5)], neck = [tip[0] - ux * head, tip[1] - uy * head];
  const half = head / 2.2, number = (p) => p.map((v) => v.toFixed(1)).join(",");
  return { line: `M${number(start)}Q${number([cx, cy])} ${number(neck)}`,
    head: `M${number(tip)}L${number([neck[0] - uy * half, neck[1] + ux * half])}L${number([neck[0] + uy * half, neck[1] - ux * half])}Z`,
    middle: [(ax + 2 * cx + bx) / 4, (ay + 2 * cy + by) / 4] };
}

function paintNetwork() {
  const { svg, width, height, of } = netView, edges = range(netView.at), most = Math.abs(net.effect[0]) || 1;
  const where = netView.places.map(netView.on), present = new Set(edges.map((e) => `${net.exposure[e]},${net.outcome[e]}`));
  const used = new Set(edges.flatMap((e) => [of.get(net.exposure[e]), of.get(net.outcome[e])]));
  const nodes = range(net.marks.length).filter((k) => net.marks.length <= NAMED || used.has(k));
  const inside = ([x, y]) => x > -20 && y > -20 && x < width + 20 && y < height + 20;
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.setAttribute("width", width);
  svg.setAttribute("height", nodes.length ? height : 0);
  const drawnEdges = edges.map((e) => {
    const [x, y] = [net.exposure[e], net.outcome[e]], [a, b] = [where[of.get(x)], where[of.get(y)]];
    if (!inside(a) && !inside(b)) return null;
    const stroke = 1 + (3.5 * Math.abs(net.effect[e])) / most, colour = net.effect[e] < 0 ? LOWERS : RAISES;
    const shape = arrow(a, b, present.has(`${y},${x}`) ? 0.16 : 0, stroke), group = makeSvg("g", { "data-edge": e });
    group.append(makeSvg("path", { class: "edge", d: shape.line, stroke: colour, "stroke-width": stroke.toFixed(1), ...(net.doubtful[e] ? { "stroke-dasharray": "5 4" } : {}) }),
      makeSvg("path", { d: shape.head, fill: net.doubtful[e] ? "var(--bg)" : colour, stroke: colour }), hitOf(e, shape.line, edges.length));
    return { e, group, middle: shape.middle };
  }).filter(Boolean);
  const circles = nodes.filter((k) => inside(where[k])).map((k) => {
    const circle = makeSvg("circle", { class: "mark", cx: where[k][0].toFixed(1), cy: where[k][1].toFixed(1), r: netView.radius, "data-mark": k,
      fill: net.cause[k] ? colourOf(net.marks[k]) ?? "var(--soft)" : "var(--bg)", ...(colourOf(net.marks[k]) ? { style: `stroke: ${colourOf(net.marks[k])}` } : {}) });
    circle.append(makeSvg("title", {}, marks[net.marks[k]]));
    circle.addEventListener("pointerenter", () => focusMark(k));
    circle.addEventListener("pointerleave", () => focusMark(null));
    return circle;
  });
  svg.replaceChildren(...drawnEdges.map((each) => each.group), ...circles, ...labelsOf(nodes, where, drawnEdges));
}

function hitOf(e, line, many) {
  const pair = [net.exposure[e], net.outcome[e]];
  const words = `${pairName(pair)}: ${shown(net.effect[e])} ${between(...[net.low[e], net.high[e]].sort((a, b) => a - b))} sd per sd, adjusted p ${shownP(net.q[e])}${net.doubtful[e] ? ", doubtful" : ""}`;
  const hit = makeSvg("path", { class: "hit", d: line, ...(many <= FOCUSABLE ? { tabindex: 0, role: "button", "aria-label": words } : {}) });
  const say = () => { netView.says.textContent = words; fade((e2) => e2 === e, (k) => pair.includes(net.marks[k])); };
  const done = () => fade(() => true, () => true);
  for (const [event, act] of [["pointerenter", say], ["focus", say], ["pointerleave", done], ["blur", done]]) hit.addEventListener(event, act);
  hit.addEventListener("click", () => openPair(...pair));
  hit.addEventListener("keydown", (event) => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); openPair(...pair); } });
  return hit;
}

function focusMark(k) {
  if (k === null) return fade(() => true, () => true);
  const mark = net.marks[k], edges = range(netView.at), [out, into] = [net.exposure, net.outcome].map((role) => edges.filter((e) => role[e] === mark));
  const beside = new Set([...out, ...into].flatMap((e) => [net.exposure[e], net.outcome[e]]).concat(mark));
  netView.says.textContent = `${marks[mark]}: acts on ${counted(out.length, "mark")}, ${counted(into.length, "mark")} ${into.length === 1 ? "acts" : "act"} on it${net.cause[k] ? "" : "; no mutants of its own"}.`;
  fade((e) => net.exposure[e] === mark || net.outcome[e] === mark, (other) => beside.has(net.marks[other]));
}

function fade(keepEdge, keepMark) {
  netView.svg.querySelectorAll("[data-edge]").forEach((each) => each.classList.toggle("faded", !keepEdge(Number(each.dataset.edge))));
  netView.svg.querySelectorAll("[data-mark]").forEach((each) => each.classList.toggle("faded", !keepMark(Number(each.dataset.mark))));
}

// Names beside their marks and numbers on the arrows, as far as there is room: none lies on another.
function labelsOf(nodes, where, drawnEdges) {
  const { width, height } = netView, taken = nodes.map((k) => box(where[k], 2 * netView.radius, 2 * netView.radius)), labels = [];
  const free = (b) => b[0] > 0 && b[1] > 0 && b[2] < width && b[3] < height && !taken.some((t) => b[0] < t[2] && t[0] < b[2] && b[1] < t[3] && t[1] < b[3]);
  const put = (text, places, wide, attributes) => {
    const at = places.find((place) => free(box(place, wide, 15)));
    if (!at) return;
    taken.push(box(at, wide, 15));
    labels.push(makeSvg("text", { x: at[0].toFixed(1), y: (at[1] + 4).toFixed(1), "text-anchor": "middle", style: "paint-order: stroke; stroke: var(--bg); stroke-width: 3px; pointer-events: none", ...attributes }, text));
  };
  const strength = new Map();
  drawnEdges.forEach(({ e }) => [net.exposure[e], net.outcome[e]].forEach((mark) => strength.set(mark, (strength.get(mark) || 0) + Math.abs(net.effect[e]))));
  [...nodes].sort((a, b) => (strength.get(net.marks[b]) || 0) - (strength.get(net.marks[a]) || 0)).forEach((k) => {
    const [x, y] = where[k], wide = widthOf(netView.names[k]) + 4, side = netView.radius + 3 + wide / 2;
    const places = [[x, y - 17], [x, y + 17], [x + side, y], [x - side, y], [x + side * 0.8, y - 14], [x - side * 0.8, y - 14], [x + side * 0.8, y + 14], [x - side * 0.8, y + 14]];
    put(netView.names[k], places, wide, { "data-name": k });
  });
  if (drawnEdges.length <= NUMBERED) drawnEdges.forEach(({ e, middle: [x, y] }) => put(net.effect[e].toFixed(2), [[x, y], [x, y - 9], [x, y + 9]], 30, { "font-size": 11 }));
  return labels;
}

const box = ([x, y], wide, high) => [x - wide / 2, y - high / 2, x + wide / 2, y + high / 2];
