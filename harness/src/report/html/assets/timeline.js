// The timeline of a run: lanes over the run's clock, zoomed and panned by wheel, drag, fingers, keys and buttons.

const AXIS = 24; // Height of the axis.
const FLAGS = 26; // Height of the deciding events' flags.
const CLOSEST = 200; // The closest zoom: microseconds in view.

class Timeline {
  constructor(root, data, name) {
    this.root = root;
    this.data = data;
    this.name = name;
    this.lanes = lanesOf(data);
    this.from = 0;
    // A little room behind the last event, so that it does not lie on the edge.
    this.all = data.end * 1.01;
    this.to = this.all;
    this.cursor = -1;
    this.onPick = () => {};
    this.console = () => null; // What the console shows: two moments.
    this.build();
  }

  build() {
    const button = (text, title, act) => el("button", { type: "button", title, "aria-label": title, on: { click: act } }, text);
    this.where = el("output", { class: "found" });
    this.drawing = svg("svg", { class: "lanes", tabindex: "0", role: "application", "aria-label": "timeline of " + this.name + ": plus and minus zoom, arrows pan, n and p go to deciding events, Enter to the console" });
    this.root.append(
      el("div", { class: "toolbar", role: "toolbar", "aria-label": "timeline" },
        button("+", "zoom in", () => this.zoom(0.5)), button("−", "zoom out", () => this.zoom(2)),
        button("←", "pan left", () => this.pan(-0.3)), button("→", "pan right", () => this.pan(0.3)),
        button("all", "show all of it", () => this.show(0, this.all)),
        button("▶ previous", "previous deciding event", () => this.step(-1)), button("▶ next", "next deciding event", () => this.step(1)),
        this.where),
      this.drawing,
      el("p", { class: "legend meta" }, "✕ error · ▲ retry · ✓ good · ❙ boot · ○ other · ◆ fault · ■ harness · ▶ decided a verdict; below retries: due. Click, then wheel zooms; drag pans; keys with ?"));
    const d = this.drawing;
    d.addEventListener("wheel", (e) => this.wheel(e), { passive: false });
    d.addEventListener("keydown", (e) => this.key(e));
    d.addEventListener("dblclick", (e) => this.zoom(0.4, this.time(e)));
    d.addEventListener("pointerdown", (e) => this.down(e));
    d.addEventListener("pointermove", (e) => this.move(e));
    d.addEventListener("pointerup", (e) => this.up(e));
    d.addEventListener("pointercancel", (e) => this.pointers.delete(e.pointerId));
    this.pointers = new Map();
    new ResizeObserver(() => this.draw()).observe(this.root);
    this.draw();
  }

  // Redraws once for any number of changes.
  draw() {
    this.due ??= requestAnimationFrame(() => { this.due = null; this.paint(); });
  }

  view() {
    const width = Math.max(this.root.clientWidth - 2, 200), left = width > 640 ? 84 : 0;
    const scale = (width - left) / (this.to - this.from);
    return { from: this.from, to: this.to, left, width, x: (us) => left + (us - this.from) * scale };
  }

  paint() {
    const view = this.view(), data = this.data, nodes = [], above = view.left ? 0 : 14;
    const height = FLAGS + this.lanes.reduce((sum, lane) => sum + lane.height + above, 0) + AXIS;
    this.drawing.setAttribute("viewBox", "0 0 " + view.width + " " + height);
    this.drawing.setAttribute("width", view.width);
    this.drawing.setAttribute("height", height);
    const bottom = height - AXIS;
    // What the console shows, behind everything.
    const band = this.console();
    if (band && band[1] >= view.from && band[0] <= view.to) {
      nodes.push(bar(band[0], band[1], FLAGS, bottom - FLAGS, view, "in-console", "what the console shows").node);
    }
    nodes.push(...this.axis(view, bottom));
    let y = FLAGS;
    for (const lane of this.lanes) {
      nodes.push(svg("line", { x1: 0, x2: view.width, y1: y, y2: y, class: "edge" }));
      nodes.push(svg("text", { x: 2, y: view.left ? y + Math.min(lane.height, 26) / 2 + 5 : y + 11, class: "lane" }, null, lane.name));
      const marks = svg("g", { class: "lane-" + lane.key }, null, ...lane.draw(view, y + above));
      nodes.push(marks);
      y += lane.height + above;
    }
    nodes.push(...this.flags(view, bottom));
    if (this.cursor >= 0) {
      const at = data.at[this.cursor];
      if (at >= view.from && at <= view.to) nodes.push(svg("line", { x1: view.x(at), x2: view.x(at), y1: 0, y2: bottom, class: "cursor" }));
    }
    if (this.part) nodes.push(bar(this.part[0], this.part[1], 0, bottom, view, "part").node);
    // What is drawn left of the view's begin stays under the lanes' names.
    this.drawing.replaceChildren(...nodes);
    this.root.setAttribute("data-from", Math.round(this.from));
    this.root.setAttribute("data-to", Math.round(this.to));
    this.where.textContent = timeWords(Math.max(0, this.from)) + " to " + timeWords(Math.min(this.to, data.end)) + " (" + timeWords(this.to - this.from) + " in view)";
  }

  axis(view, bottom) {
    const out = [svg("line", { x1: view.left, x2: view.width, y1: bottom, y2: bottom, class: "edge" })];
    const steps = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5, 2e5, 5e5, 1e6, 2e6, 5e6, 1e7, 1.5e7, 3e7, 6e7, 1.2e8, 3e8, 6e8, 9e8, 1.8e9, 3.6e9, 7.2e9, 1.44e10, 4.32e10, 8.64e10];
    const wanted = (view.to - view.from) / Math.max(2, (view.width - view.left) / 95);
    const step = steps.find((s) => s >= wanted) || 8.64e10 * Math.ceil(wanted / 8.64e10);
    for (let t = Math.ceil(view.from / step) * step; t <= view.to; t += step) {
      const x = view.x(t);
      out.push(svg("line", { x1: x, x2: x, y1: FLAGS, y2: bottom + 4, class: "grid" }));
      const last = x > view.width - 40;
      out.push(svg("text", { x: last ? view.width - 2 : x, y: bottom + 17, class: "tick", "text-anchor": last ? "end" : x < 20 ? "start" : "middle" }, null, t === 0 ? "0" : timeWords(t)));
    }
    return out;
  }

  // The deciding events of each expectation: a flag with its number, a line through all lanes.
  flags(view, bottom) {
    const data = this.data, out = [], rows = data.decidingRows;
    gather(rows.length, (i) => data.at[rows[i]], view, 20, (x, items) => {
      const all = [...new Set(items.flatMap((i) => data.decides.get(rows[i])))].sort((a, b) => a - b);
      const bad = all.some((e) => this.failed(e));
      const words = all.length > 2 ? all.length + "×" : all.map((e) => e + 1).join(",");
      const title = "decided expectation " + all.map((e) => e + 1).join(", ") + ":\n" + named(items, (i) => data.text(rows[i]));
      const width = Math.max(18, words.length * 7 + 10), left = Math.min(x, view.width - width);
      out.push(
        svg("line", { x1: x, x2: x, y1: 6, y2: bottom, class: "decided" + (bad ? " bad" : "") }),
        svg("g", { class: "flag" + (bad ? " bad" : ""), "data-row": rows[items[0]] }, title,
          svg("rect", { x: left, y: 3, width, height: 17, rx: 3 }),
          svg("text", { x: left + width / 2, y: 16, "text-anchor": "middle" }, null, words + (bad ? "✗" : ""))));
    });
    return out;
  }

  failed(expectation) {
    return !!document.getElementById(this.name + "-e" + expectation)?.matches(".fail, .error");
  }

  // Shows a part, within what there is.
  show(from, to) {
    const span = Math.min(Math.max(to - from, CLOSEST), this.all);
    from = Math.min(Math.max(from, 0), this.all - span);
    this.from = from;
    this.to = from + span;
    this.draw();
  }

  zoom(factor, at = (this.from + this.to) / 2) {
    const span = Math.min(Math.max((this.to - this.from) * factor, CLOSEST), this.all);
    const from = at - ((at - this.from) / (this.to - this.from)) * span;
    this.show(from, from + span);
  }

  pan(part) {
    const by = (this.to - this.from) * part;
    this.show(this.from + by, this.to + by);
  }

  // Puts the cursor on a row, and that into view.
  point(row, { close = false } = {}) {
    this.cursor = row;
    const at = this.data.at[row], span = this.to - this.from;
    if (close && span > this.all / 4) this.show(at - this.all / 16, at + this.all / 16);
    else if (at < this.from || at > this.to) this.show(at - span / 2, at + span / 2);
    this.draw();
  }

  step(way) {
    const rows = this.data.decidingRows;
    if (!rows.length) return;
    const next = way > 0 ? rows.find((row) => row > this.cursor) : rows.findLast((row) => row < this.cursor);
    const row = next ?? (way > 0 ? rows[0] : rows[rows.length - 1]);
    this.point(row);
    this.onPick(row, false);
  }

  time(event) {
    const view = this.view(), x = event.clientX - this.drawing.getBoundingClientRect().left;
    return this.from + ((Math.max(x, view.left) - view.left) / (view.width - view.left)) * (this.to - this.from);
  }

  // The page must scroll over a timeline that nobody has touched.
  wheel(event) {
    if (!event.ctrlKey && !event.metaKey && document.activeElement !== this.drawing) return;
    event.preventDefault();
    if (Math.abs(event.deltaX) > Math.abs(event.deltaY) || event.shiftKey) this.pan((event.deltaX || event.deltaY) / 800);
    else this.zoom(Math.exp(Math.max(-300, Math.min(event.deltaY, 300)) / 400), this.time(event));
  }

  down(event) {
    if (event.button) return;
    this.drawing.focus({ preventScroll: true });
    this.pointers.set(event.pointerId, { x: event.clientX, at: this.time(event) });
    this.start = { x: event.clientX, from: this.from, to: this.to, at: this.time(event), target: event.target, moved: false, part: event.shiftKey };
  }

  move(event) {
    const pointer = this.pointers.get(event.pointerId), start = this.start;
    if (!pointer || !start) return;
    const view = this.view(), perPixel = (start.to - start.from) / (view.width - view.left);
    if (this.pointers.size === 2) {
      // Two fingers: both moments stay under their fingers.
      pointer.x = event.clientX;
      start.moved = true;
      const [a, b] = [...this.pointers.values()].sort((a, b) => a.x - b.x), box = this.drawing.getBoundingClientRect();
      if (b.x - a.x < 10 || b.at <= a.at) return;
      const each = (b.at - a.at) / (b.x - a.x), from = a.at - (a.x - box.left - view.left) * each;
      this.show(from, from + each * (view.width - view.left));
      return;
    }
    if (Math.abs(event.clientX - start.x) < 4 && !start.moved) return;
    if (!start.moved) this.drawing.setPointerCapture(event.pointerId);
    start.moved = true;
    if (start.part) {
      const now = this.time(event);
      this.part = [Math.min(start.at, now), Math.max(start.at, now)];
      this.draw();
    } else {
      const by = (start.x - event.clientX) * perPixel;
      this.show(start.from + by, start.to + by);
    }
  }

  up(event) {
    this.pointers.delete(event.pointerId);
    const start = this.start;
    if (this.pointers.size || !start) return;
    this.start = null;
    if (this.part) {
      const [from, to] = this.part;
      this.part = null;
      this.show(from, to);
    } else if (!start.moved) {
      const mark = start.target.closest("[data-row]");
      const row = mark ? Number(mark.getAttribute("data-row")) : this.data.rowAt(start.at);
      this.point(row);
      this.onPick(row, false);
    }
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const keys = {
      "+": () => this.zoom(0.5), "=": () => this.zoom(0.5), "-": () => this.zoom(2), "0": () => this.show(0, this.all),
      ArrowLeft: () => this.pan(-0.15), ArrowRight: () => this.pan(0.15),
      Home: () => this.show(0, this.to - this.from), End: () => this.show(this.all - (this.to - this.from), this.all),
      n: () => this.step(1), p: () => this.step(-1), Enter: () => this.onPick(Math.max(0, this.cursor), true),
    };
    if (!keys[event.key]) return;
    event.preventDefault();
    event.stopPropagation();
    keys[event.key]();
  }
}
