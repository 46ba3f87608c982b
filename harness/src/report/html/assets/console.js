// The console of a run: all lines of both sides, of which only those in sight are in the document.

const ROW = 20; // Height of a line in pixels, as in the style sheet.
const TALLEST = 12e6; // Browsers lay out no element much taller: longer consoles are scrolled in proportion.
const LEVELS = [["E", "error"], ["W", "warning"], ["I", "info"], ["D", "debug"], ["V", "verbose"], [" ", "other"]];
const KNOWN = new Set(["E", "W", "I", "D", "V"]);

class Console {
  constructor(root, data, name) {
    this.data = data;
    this.root = root;
    this.name = name;
    this.shown = null; // Rows that pass the filters; null for all.
    this.selected = -1;
    this.matches = [];
    this.match = null;
    this.lines = new Map(); // Index among those shown -> its element.
    this.hidden = { level: new Set(), side: new Set() };
    this.onSelect = () => {};
    this.onScroll = () => {};
    this.onBack = () => {};
    this.build();
    this.apply();
  }

  build() {
    this.search = el("input", { type: "search", placeholder: "search", "aria-label": "search the console", on: { input: () => this.later() } });
    this.regex = el("input", { type: "checkbox", on: { change: () => this.apply() } });
    this.only = el("input", { type: "checkbox", on: { change: () => this.apply() } });
    this.status = el("output", { class: "found" });
    const button = (text, title, act) => el("button", { type: "button", title, "aria-label": title, on: { click: act } }, text);
    const toggles = (kind, list) =>
      el("span", { class: "toggles", role: "group", "aria-label": kind },
        ...list.map(([key, word]) =>
          el("button", { type: "button", class: kind + " " + kind + "-" + (key.trim() || "none"), "aria-pressed": "true", "data-key": key, on: { click: (e) => this.toggle(kind, key, e.currentTarget) } }, word)));
    this.bar = el("div", { class: "toolbar", role: "toolbar", "aria-label": "console" },
      this.search,
      el("label", { title: "a regular expression" }, this.regex, " regex"),
      el("label", { title: "hide lines that do not match" }, this.only, " matches only"),
      button("↑", "previous match", () => this.step(-1)),
      button("↓", "next match", () => this.step(1)),
      this.status,
      toggles("level", LEVELS),
      toggles("side", Object.entries(SIDES)));
    this.space = el("div", { class: "space" });
    this.window = el("div", { class: "window" });
    this.view = el("div", { class: "rows", tabindex: "0", role: "listbox", "aria-label": "console of " + this.name, on: {
      scroll: () => { this.draw(); this.onScroll(); },
      keydown: (e) => this.key(e),
      click: (e) => this.click(e),
    } }, this.space, this.window);
    this.whole = el("div", { class: "whole", hidden: true });
    this.root.append(this.bar, this.view, this.whole);
    this.search.addEventListener("keydown", (e) => {
      if (e.key === "Enter") { this.flush(); this.step(e.shiftKey ? -1 : 1); e.preventDefault(); }
      if (e.key === "Escape") { this.view.focus(); e.preventDefault(); }
    });
    new ResizeObserver(() => this.draw()).observe(this.view);
  }

  // Typing is not held up by a search through very many lines.
  later() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.flush(), this.data.count > 20000 ? 200 : 0);
  }

  flush() {
    clearTimeout(this.timer);
    this.apply();
  }

  toggle(kind, key, button) {
    const set = this.hidden[kind];
    if (!set.delete(key)) set.add(key);
    button.setAttribute("aria-pressed", String(!set.has(key)));
    this.apply();
  }

  test() {
    const wanted = this.search.value;
    this.search.removeAttribute("aria-invalid");
    this.problem = "";
    if (!wanted) return null;
    if (!this.regex.checked) {
      const low = wanted.toLowerCase();
      return (text) => text.toLowerCase().includes(low);
    }
    try {
      const regex = new RegExp(wanted, "i");
      return (text) => regex.test(text);
    } catch (e) {
      this.search.setAttribute("aria-invalid", "true");
      this.problem = "no regular expression: " + e.message;
      return null;
    }
  }

  passes(row) {
    const level = this.data.level(row), side = this.data.side(row);
    // Levels are the device's; the other sides have none to be left out by.
    return !this.hidden.side.has(side) && (side !== "d" || !this.hidden.level.has(KNOWN.has(level) ? level : " "));
  }

  // Recomputes what is shown and what matches.
  apply() {
    const test = (this.match = this.test());
    const filtered = this.hidden.level.size || this.hidden.side.size || (test && this.only.checked);
    this.matches = [];
    this.shown = filtered ? [] : null;
    if (filtered || test) {
      for (let row = 0; row < this.data.count; row++) {
        if (!this.passes(row)) continue;
        const hit = test && test(this.data.text(row));
        if (hit) this.matches.push(row);
        if (filtered && (hit || !test || !this.only.checked)) this.shown.push(row);
      }
    }
    this.tell();
    const height = this.length() * ROW;
    this.scale = Math.max(1, height / TALLEST);
    this.space.style.height = height / this.scale + "px";
    this.lines.clear();
    this.drawn = null;
    this.view.setAttribute("data-shown", this.length());
    if (this.selected >= 0) this.reveal(this.selected);
    this.draw();
  }

  tell() {
    const at = this.matches.indexOf(this.selected) + 1;
    const lines = this.shown ? this.length() + " of " + this.data.count + " lines" : this.data.count + " lines";
    const found = this.match ? (this.matches.length ? (at ? at + " of " : "") + this.matches.length + " matches" : "no match") : "";
    this.status.textContent = [this.problem, found, lines].filter(Boolean).join(" · ");
  }

  length() { return this.shown ? this.shown.length : this.data.count; }
  rowOf(index) { return this.shown ? this.shown[index] : index; }

  // Where a row stands among those shown: its own place, else that of the next one.
  indexOf(row) {
    if (!this.shown) return row;
    let low = 0, high = this.shown.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.shown[middle] < row) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  // Index of the first line in sight.
  top() {
    const room = Math.max(1, this.space.offsetHeight - this.view.clientHeight);
    const last = Math.max(0, this.length() - Math.floor(this.view.clientHeight / ROW));
    return this.scale > 1 ? Math.round((this.view.scrollTop / room) * last) : Math.floor(this.view.scrollTop / ROW);
  }

  inSight() {
    const first = Math.min(this.top(), this.length() - 1);
    const last = Math.min(first + Math.ceil(this.view.clientHeight / ROW), this.length() - 1);
    return first < 0 ? null : [this.rowOf(first), this.rowOf(last)];
  }

  draw() {
    const room = Math.ceil(this.view.clientHeight / ROW), margin = 10;
    const first = Math.max(0, this.top() - margin), last = Math.min(this.length(), this.top() + room + margin);
    const shift = this.scale > 1 ? this.view.scrollTop - (this.top() - first) * ROW : first * ROW;
    this.window.style.transform = "translateY(" + shift + "px)";
    const key = first + "-" + last;
    if (this.drawn === key) return;
    this.drawn = key;
    // Lines that stay in sight stay as they are: one that is being clicked is not taken away.
    const lines = new Map();
    for (let i = first; i < last; i++) lines.set(i, this.lines.get(i) || this.line(i));
    this.lines = lines;
    this.window.replaceChildren(...lines.values());
  }

  line(index) {
    const row = this.rowOf(index), data = this.data, text = data.text(row), deciding = data.decides.get(row);
    const level = data.level(row), side = SIDES[data.side(row)], selected = row === this.selected;
    const cut = text.length > SHOWN;
    const shown = el("span", { class: "text" });
    this.matched(shown, visible(cut ? text.slice(0, SHOWN) : text));
    const line = el("div", {
      class: "row side-" + side + " level-" + (KNOWN.has(level) ? level : "none") + (deciding ? " deciding" : "") + (selected ? " selected" : ""),
      id: this.name + "-" + row, role: "option", "aria-selected": String(selected),
      "aria-setsize": this.length(), "aria-posinset": index + 1, "data-row": row,
    },
      el("span", { class: "at" }, (data.at[row] / 1e6).toFixed(3)),
      el("span", { class: "who", title: side }, side),
      shown);
    if (cut) shown.after(el("button", { type: "button", class: "unfold", tabindex: "-1" }, "show all " + text.length));
    if (deciding) line.append(el("button", { type: "button", class: "back", tabindex: "-1", title: "back to the expectation that this line decided", "data-expectation": deciding[0] }, "▶ decided"));
    return line;
  }

  // Text with its matches marked.
  matched(into, text) {
    const wanted = this.search.value;
    if (!this.match || !wanted) { into.textContent = text; return; }
    const source = this.regex.checked ? wanted : wanted.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
    let from = 0, marks = 0;
    for (const hit of text.matchAll(new RegExp(source, "gi"))) {
      if (!hit[0] || ++marks > 50) continue;
      into.append(text.slice(from, hit.index), el("mark", null, hit[0]));
      from = hit.index + hit[0].length;
    }
    into.append(text.slice(from));
  }

  click(event) {
    const line = event.target.closest(".row");
    if (!line) return;
    const row = Number(line.dataset.row);
    this.select(row, { scroll: false });
    if (event.target.closest(".back")) this.onBack(Number(event.target.closest(".back").dataset.expectation));
    else if (event.target.closest(".unfold")) this.showWhole(row);
  }

  // Selects a row. One that the filters hide shows them the door.
  select(row, { scroll = true, tell = true } = {}) {
    row = Math.max(0, Math.min(row, this.data.count - 1));
    if (this.shown && this.shown[this.indexOf(row)] !== row) this.clear();
    this.mark(this.selected, false);
    this.selected = row;
    if (scroll) this.reveal(row);
    this.draw();
    this.mark(row, true);
    this.view.setAttribute("aria-activedescendant", this.name + "-" + row);
    this.tell();
    if (!this.whole.hidden) this.showWhole(row);
    if (tell) this.onSelect(row);
  }

  mark(row, selected) {
    const line = this.window.querySelector('[data-row="' + row + '"]');
    line?.classList.toggle("selected", selected);
    line?.setAttribute("aria-selected", String(selected));
  }

  clear() {
    this.hidden.level.clear();
    this.hidden.side.clear();
    this.only.checked = false;
    for (const button of this.bar.querySelectorAll("[aria-pressed]")) button.setAttribute("aria-pressed", "true");
    this.apply();
  }

  reveal(row) {
    const index = this.indexOf(row), fit = Math.max(1, Math.floor(this.view.clientHeight / ROW) - 1), top = this.top();
    if (index > top && index < top + fit - 1) return;
    const wanted = Math.max(0, index - Math.floor(fit / 3));
    const room = this.space.offsetHeight - this.view.clientHeight;
    const last = Math.max(1, this.length() - Math.floor(this.view.clientHeight / ROW));
    this.view.scrollTop = this.scale > 1 ? (wanted / last) * room : wanted * ROW;
  }

  step(way) {
    const rows = this.match ? this.matches : this.data.decidingRows;
    if (!rows.length) return;
    const next = way > 0 ? rows.find((row) => row > this.selected) : rows.findLast((row) => row < this.selected);
    this.select(next ?? (way > 0 ? rows[0] : rows[rows.length - 1]));
  }

  showWhole(row) {
    const data = this.data, raw = data.raw.get(row);
    this.whole.hidden = false;
    this.whole.replaceChildren(
      el("div", { class: "head" },
        el("b", null, SIDES[data.side(row)] + " at " + timeWords(data.at[row]) + ", " + data.text(row).length + " characters"),
        el("button", { type: "button", on: { click: () => { this.whole.hidden = true; this.view.focus(); } } }, "close")),
      el("pre", null, visible(data.text(row))));
    if (raw) this.whole.append(el("p", { class: "meta" }, "bytes: " + raw));
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const page = Math.max(1, Math.floor(this.view.clientHeight / ROW) - 1);
    const now = this.selected < 0 ? this.top() - 1 : this.indexOf(this.selected);
    const go = (index) => this.length() && this.select(this.rowOf(Math.max(0, Math.min(index, this.length() - 1))));
    const keys = {
      ArrowDown: () => go(now + 1), ArrowUp: () => go(now - 1), PageDown: () => go(now + page), PageUp: () => go(now - page),
      Home: () => go(0), End: () => go(this.length() - 1), n: () => this.step(1), p: () => this.step(-1),
      "/": () => this.search.select(), Enter: () => this.selected >= 0 && this.showWhole(this.selected),
      b: () => { const e = this.data.decides.get(this.selected); this.onBack(e ? e[0] : null); },
      Escape: () => { this.whole.hidden = true; },
    };
    if (!keys[event.key]) return;
    event.preventDefault();
    event.stopPropagation();
    keys[event.key]();
  }
}
