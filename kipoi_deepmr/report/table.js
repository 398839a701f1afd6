// Tables: search, sort, a page at a time, all rows on paper.

const PRINTED = 2000;
const atATime = () => (printing ? PRINTED : innerWidth > 640 ? 25 : 10);
const tables = new Map();
let printing = false;

// columns: { title, help, value(row), text, long, show(value), mark(row) }; rows are numbers 0 to n - 1.
class DataTable {
  constructor(id, { caption, columns, n, onChoose, filter }) {
    Object.assign(this, { id, columns, n, onChoose, sorted: null, down: false, page: 0, chosen: null, words: null });
    this.search = make("input", { type: "search", attributes: { "aria-label": `Search: ${caption}`, placeholder: "Search" }, oninput: () => this.update() });
    const controls = make("div", { className: "controls" }, this.search);
    if (filter) {
      this.only = make("input", { type: "checkbox", checked: Boolean(filter.first), onchange: () => this.update() });
      this.keep = filter.keep;
      controls.append(make("label", {}, this.only, " " + filter.label));
    }
    this.back = make("button", { type: "button", textContent: "Previous", onclick: () => this.turn(-1) });
    this.forth = make("button", { type: "button", textContent: "Next", onclick: () => this.turn(1) });
    this.count = make("span", { attributes: { "aria-live": "polite" } });
    const pager = make("div", { className: "controls pager" }, this.back, this.forth, this.count);
    this.head = make("tr", { attributes: { role: "row" } });
    this.body = make("tbody", { attributes: { role: "rowgroup" } });
    columns.forEach((column, i) => this.head.append(make("th", { className: column.text ? "text" : "", attributes: { scope: "col", role: "columnheader", "aria-sort": "none" } },
      make("button", { type: "button", className: "plain", textContent: column.title, title: `${column.help} Click to sort.`, onclick: () => this.sortBy(i) }))));
    const table = make("table", { attributes: { role: "table" } }, make("caption", { textContent: caption }), make("thead", { attributes: { role: "rowgroup" } }, this.head), this.body);
    this.left = make("p", { hidden: true });
    byId(id).replaceChildren(controls, make("div", { className: "table", attributes: { tabindex: "0", role: "group", "aria-label": caption } }, table), pager, this.left);
    tables.set(id, this);
    this.update();
  }

  sortBy(i) {
    this.down = this.sorted === i ? !this.down : !this.columns[i].text;
    this.sorted = i;
    this.update();
  }

  turn(by) {
    this.page += by;
    this.fill();
  }

  update() {
    const wanted = this.search.value.toLowerCase().split(/\s+/).filter(Boolean);
    if (wanted.length && !this.words) {
      const text = this.columns.filter((c) => c.text);
      this.words = range(this.n).map((row) => text.map((c) => c.value(row)).join("\n").toLowerCase());
    }
    this.rows = range(this.n).filter((row) => (!this.only || !this.only.checked || this.keep(row))
      && wanted.every((word) => this.words[row].includes(word)));
    if (this.sorted !== null) {
      const { value, key = value } = this.columns[this.sorted], sign = this.down ? -1 : 1;
      const keys = new Map(this.rows.map((row) => [row, key(row)]));
      const missing = (k) => k === null || k === undefined;
      this.rows.sort((a, b) => {
        const x = keys.get(a), y = keys.get(b);
        if (missing(x) || missing(y)) return missing(x) - missing(y) || a - b;
        return (x < y ? -sign : x > y ? sign : 0) || a - b;
      });
    }
    [...this.head.children].forEach((cell, i) => cell.setAttribute("aria-sort", this.sorted !== i ? "none" : this.down ? "descending" : "ascending"));
    this.page = 0;
    this.fill();
  }

  fill() {
    const most = atATime(), first = printing ? 0 : this.page * most, here = this.rows.slice(first, first + most), total = this.rows.length;
    this.body.replaceChildren(...here.map((row) => this.line(row)));
    this.back.disabled = !this.page;
    this.forth.disabled = first + most >= total;
    const of = total < this.n ? ` (of ${this.n.toLocaleString("en")})` : "";
    this.count.textContent = total ? `${(first + 1).toLocaleString("en")} to ${(first + here.length).toLocaleString("en")} of ${total.toLocaleString("en")}${of}` : `no row${of}`;
    this.left.hidden = !(printing && total > PRINTED);
    this.left.textContent = `The first ${PRINTED.toLocaleString("en")} of ${total.toLocaleString("en")} rows are printed.`;
  }

  line(row) {
    const choose = this.onChoose && this.onChoose(row);
    return make("tr", { className: row === this.chosen ? "chosen" : "", attributes: { role: "row" } }, ...this.columns.map((column, i) => {
      const whole = (column.show || shown)(column.value(row)), text = column.long ? withShortNames(whole) : short(whole, column.mark ? 24 : 34);
      const cell = make("td", { className: [column.text ? "text" : "", column.long ? "long" : ""].join(" ").trim(), attributes: { role: "cell", "data-title": column.title } });
      if (text !== whole) cell.title = whole;
      const colour = column.mark && colourOf(column.mark(row)), content = make("span");
      if (colour) content.append(swatch(colour));
      if (choose && !i) content.append(make("button", { type: "button", className: "go", textContent: text, onclick: () => { this.chosen = row; this.fill(); choose(); } }));
      else content.append(text);
      cell.append(content);
      return cell;
    }));
  }
}

const swatch = (colour) => make("span", { className: "swatch", attributes: { style: `background: ${colour}`, "aria-hidden": "true" } });

// On paper a table has all its rows, and what is folded is open.
function print(on) {
  if (printing === on) return;
  printing = on;
  tables.forEach((table) => table.fill());
  document.querySelectorAll("details").forEach((each) => { each.open = on; });
  showHeat();
}
addEventListener("beforeprint", () => print(true));
addEventListener("afterprint", () => print(false));
matchMedia("print").addEventListener("change", (event) => print(event.matches));
