// The lanes of a timeline: what is drawn where. Only what is in view is drawn; what would fall on the same pixels is one
// mark that names them all.

const SVG = "http://www.w3.org/2000/svg";
function svg(name, attributes, title, ...children) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) if (value != null) element.setAttribute(key, value);
  if (title) {
    const words = document.createElementNS(SVG, "title");
    words.textContent = visible(title).slice(0, 1500);
    element.append(words);
  }
  element.append(...children);
  return element;
}

// Text, left out where it does not fit its room.
function label(x, y, text, room, cls) {
  text = visible(text);
  const fits = Math.floor(room / 6.4);
  if (fits < 3) return [];
  return [svg("text", { x, y, class: cls || "words" }, null, text.length > fits ? text.slice(0, fits - 1) + "…" : text)];
}

// Signs of device events: a form for each kind, so that colour is never the only sign.
const SIGNS = {
  b: (x, y) => "M" + (x - 1.5) + " " + (y - 7) + "h3v14h-3z",
  e: (x, y) => "M" + (x - 5) + " " + (y - 3.5) + "l1.5 -1.5 3.5 3.5 3.5 -3.5 1.5 1.5 -3.5 3.5 3.5 3.5 -1.5 1.5 -3.5 -3.5 -3.5 3.5 -1.5 -1.5 3.5 -3.5z",
  r: (x, y) => "M" + x + " " + (y - 5.5) + "l5.5 10h-11z",
  g: (x, y) => "M" + (x - 6) + " " + y + "l2 -2 3 3 6 -7 2 2 -8 9z",
  p: (x, y) => "M" + (x - 1) + " " + (y - 3) + "h2v6h-2z",
  o: (x, y) => "M" + x + " " + (y - 3) + "a3 3 0 1 0 .01 0z",
};
const WEIGHT = "epo rgb"; // Of events on the same pixels, the last of these that is there gives the sign; errors beat all.
function heavier(a, b) {
  if (a === "e" || b === "e") return "e";
  return WEIGHT.indexOf(a) >= WEIGHT.indexOf(b) ? a : b;
}

// Sorted items that fall into the view, gathered where they are closer than `gap` pixels.
function gather(count, at, view, gap, each) {
  let low = 0, high = count;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (at(middle) < view.from) low = middle + 1;
    else high = middle;
  }
  let group = null;
  for (let i = low; i < count && at(i) <= view.to; i++) {
    const x = view.x(at(i));
    if (group && x - group.x < gap) group.items.push(i);
    else {
      if (group) each(group.x, group.items);
      group = { x, items: [i] };
    }
  }
  if (group) each(group.x, group.items);
}

function named(items, words) {
  const told = items.slice(0, 12).map(words).join("\n");
  return items.length > 12 ? told + "\nand " + (items.length - 12) + " more" : told;
}

const inView = (from, to, view) => to >= view.from && from <= view.to;

// A bar for what lasts, never narrower than can be seen.
function bar(from, to, y, height, view, cls, title, row) {
  const left = Math.max(view.x(Math.max(from, view.from)), view.left), right = view.x(Math.min(to, view.to));
  const width = Math.max(right - left, 2);
  return { left, width, node: svg("rect", { x: left, y, width, height, rx: 2, class: cls, "data-row": row }, title) };
}

function stepsLane(data) {
  return { key: "steps", name: "steps", height: 22, draw(view, y) {
    return data.steps.filter(([from, to]) => inView(from, to, view)).flatMap(([from, to, name], n) => {
      const b = bar(from, to, y + 3, 16, view, "step", "step " + name + "\n" + timeWords(from) + " to " + timeWords(to), data.rowAt(from));
      return [b.node, ...label(b.left + 5, y + 15, name, b.width - 8)];
    });
  } };
}

function actionsLane(data) {
  return { key: "actions", name: "harness", height: 20, draw(view, y) {
    const out = [];
    gather(data.actions.length, (i) => data.actions[i][0], view, 8, (x, items) => {
      const title = named(items, (i) => timeWords(data.actions[i][0]) + "  " + data.text(data.actions[i][1]));
      out.push(svg("rect", { x: x - 4, y: y + 6, width: 8, height: 8, class: "action", "data-row": data.actions[items[0]][1] }, title));
    });
    return out;
  } };
}

function plansLane(data) {
  return { key: "plans", name: "faults set", height: 22, draw(view, y) {
    return data.plans.filter(([from, to]) => inView(from, to, view)).flatMap(([from, to, names]) => {
      const b = bar(from, to, y + 3, 16, view, "plan", "faults in force: " + names, data.rowAt(from));
      return [b.node, ...label(b.left + 5, y + 15, names, b.width - 8)];
    });
  } };
}

// Connections in as few rows as keep them apart, and the faults that acted on top.
function serverLane(data) {
  const ends = [];
  const rows = data.connections.map((c) => {
    const to = c.to ? c.to[0] : data.end;
    let row = ends.findIndex((end) => end <= c.from);
    if (row < 0) row = ends.length < 4 ? ends.push(0) - 1 : 3;
    ends[row] = to;
    return row;
  });
  const depth = Math.max(1, ends.length);
  return { key: "server", name: "server", height: depth * 20 + 4, draw(view, y) {
    const out = [];
    let last = [];
    data.connections.forEach((c, n) => {
      const to = c.to ? c.to[0] : data.end;
      if (!inView(c.from, to, view)) return;
      const x = view.x(c.from);
      // Many short ones on one pixel are one.
      if (last[rows[n]] !== undefined && view.x(to) - last[rows[n]] < 1) return;
      const how = (c.to ? (c.reset ? "reset" : "closed") + " after " + timeWords(to - c.from) : "still open at the end");
      const b = bar(c.from, to, y + rows[n] * 20 + 3, 16, view, "connection" + (c.reset ? " reset" : ""), c.words + "\nport " + c.port + ", " + how, c.row);
      last[rows[n]] = b.left + b.width;
      out.push(b.node);
      if (c.reset && c.to && c.to[0] <= view.to) out.push(svg("path", { d: SIGNS.e(view.x(to), y + rows[n] * 20 + 11), class: "sign e" }));
      out.push(...label(b.left + 5, y + rows[n] * 20 + 15, c.words, b.width - 12));
    });
    gather(data.faults.length, (i) => data.faults[i].at, view, 9, (x, items) => {
      const title = named(items, (i) => "fault " + data.text(data.faults[i].row));
      const cy = y + 11;
      out.push(svg("path", { d: "M" + x + " " + (cy - 7) + "l6 7 -6 7 -6 -7z", class: "fault", "data-row": data.faults[items[0]].row }, title));
    });
    return out;
  } };
}

// Each retry's delay: above as it was kept, below as it was due.
function retriesLane(data) {
  return { key: "retries", name: "retries", height: 36, draw(view, y) {
    const out = [];
    for (const r of data.retries) {
      const due = r.due == null ? null : r.from + r.due * 1000;
      const to = r.to ?? due ?? r.from;
      if (!inView(r.from, Math.max(to, due || 0), view)) continue;
      const kept = r.measured == null ? "not measured" : "kept " + timeWords(r.measured * 1000);
      const wanted = r.due == null ? "" : ", due " + timeWords(r.due * 1000);
      const title = "retry " + r.attempt + ": " + kept + wanted + (r.off ? ": NOT AS DUE" : "");
      if (r.to != null) {
        const b = bar(r.from, r.to, y + 4, 16, view, "retry" + (r.off ? " off" : ""), title, r.row);
        const words = (r.off ? "✗ " : "") + r.attempt + ": " + (r.measured == null ? "?" : timeWords(r.measured * 1000)) + (r.off ? " (due " + timeWords(r.due * 1000) + ")" : "");
        out.push(b.node, ...label(b.left + 4, y + 16, words, b.width - 6));
      } else {
        out.push(svg("path", { d: SIGNS.r(view.x(r.from), y + 12), class: "sign r", "data-row": r.row }, title));
      }
      if (due != null) {
        const b = bar(r.from, due, y + 25, 3, view, "due", title, r.row);
        out.push(b.node);
        if (due <= view.to && due >= view.from) out.push(svg("line", { x1: view.x(due), x2: view.x(due), y1: y + 20, y2: y + 31, class: "due-end" }));
      }
    }
    return out;
  } };
}

function deviceLane(data) {
  const { row, kind, words } = data.device;
  return { key: "device", name: "device", height: 26, draw(view, y) {
    const out = [];
    gather(row.length, (i) => data.at[row[i]], view, 9, (x, items) => {
      const sign = items.reduce((sign, i) => heavier(sign, kind[i]), "o");
      const first = items.find((i) => kind[i] === sign) ?? items[0];
      const title = named(items, (i) => timeWords(data.at[row[i]]) + "  " + words[i]);
      out.push(svg("path", { d: SIGNS[sign](x, y + 13), class: "sign " + sign, "data-row": row[first] }, title));
    });
    return out;
  } };
}

// How much the console said, and its worst level.
function consoleLane(data) {
  return { key: "console", name: "console", height: 34, draw(view, y) {
    const out = [];
    gather(data.count, (i) => data.at[i], view, 3, (x, items) => {
      const lines = items.filter((i) => data.side(i) === "d");
      if (!lines.length) return;
      const worst = lines.some((i) => data.level(i) === "E") ? "E" : lines.some((i) => data.level(i) === "W") ? "W" : "I";
      const height = Math.min(28, 6 + 5 * Math.log2(lines.length));
      const first = lines.find((i) => data.level(i) === worst) ?? lines[0];
      const words = lines.length > 1 ? lines.length + " lines, among them:\n" : "";
      out.push(svg("rect", { x, y: y + 31 - height, width: 2, height, class: "density " + worst, "data-row": first }, words + data.text(first).slice(0, 300)));
      if (worst !== "I") out.push(svg("path", { d: "M" + (x + 1) + " " + (y + 25 - height) + (worst === "E" ? "l3 4h-6z" : "m-2 0h4v3h-4z"), class: "density " + worst }));
    });
    return out;
  } };
}

// The lanes that have something to show.
function lanesOf(data) {
  return [
    data.steps.length && stepsLane(data),
    data.actions.length && actionsLane(data),
    data.plans.length && plansLane(data),
    (data.connections.length || data.faults.length) && serverLane(data),
    data.retries.length && retriesLane(data),
    data.device.row.length && deviceLane(data),
    consoleLane(data),
  ].filter(Boolean);
}
