// The data of a timeline: columns as `data.rs` wrote them, read once when a run is first opened.

const SIDES = { d: "device", s: "server", h: "harness", r: "rig" };
// Of a line, so much is shown at once; the rest on demand.
const SHOWN = 400;

// Control characters as their pictures, invisible and bidirectional ones as their code points: as `untrusted.rs` does.
const HIDDEN =
  /[\u0000-\u0008\u000a-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|\udb40[\udc00-\udc7f]/g;
function visible(text) {
  return text.replace(HIDDEN, (c) => {
    const code = c.codePointAt(0);
    if (code < 0x20) return String.fromCharCode(0x2400 + code);
    if (code === 0x7f) return "\u2421";
    return "\u27e8U+" + code.toString(16).toUpperCase().padStart(4, "0") + "\u27e9";
  });
}

function decode(json) {
  const data = JSON.parse(json);
  const count = data.rows.text.length;
  const at = new Float64Array(count);
  for (let i = 0, sum = 0; i < count; i++) at[i] = sum += data.rows.dt[i];
  // Rows by the expectations that they decided: row -> indices of expectations.
  const decides = new Map();
  data.deciding.forEach((rows, e) => {
    for (const row of rows) decides.set(row, [...(decides.get(row) || []), e]);
  });
  const { side, level, text, raw } = data.rows;
  return {
    count,
    at,
    side: (row) => side[row],
    level: (row) => level[row],
    text: (row) => text[row],
    raw: new Map(raw),
    end: Math.max(data.end, 1),
    device: data.device,
    connections: data.connections,
    faults: data.faults,
    plans: data.plans,
    steps: data.steps,
    actions: data.actions,
    retries: data.retries,
    deciding: data.deciding,
    decides,
    decidingRows: [...decides.keys()].sort((a, b) => a - b),
    // The last row at or before a moment.
    rowAt(us) {
      let low = 0, high = count - 1;
      while (low < high) {
        const middle = (low + high + 1) >> 1;
        if (at[middle] <= us) low = middle;
        else high = middle - 1;
      }
      return low;
    },
  };
}

// Microseconds in words.
function timeWords(us) {
  if (!us) return "0";
  const ms = us / 1000;
  const short = (n) => String(+n.toFixed(3));
  if (ms < 1) return short(us) + " µs";
  if (ms < 1000) return short(ms) + " ms";
  if (ms < 60000) return short(ms / 1000) + " s";
  const s = Math.round(ms / 1000), h = Math.floor(s / 3600), m = Math.floor((s % 3600) / 60);
  const parts = [h && h + " h", m && m + " min", s % 60 && (s % 60) + " s"].filter(Boolean);
  return parts.join(" ");
}

// An element: attributes, then children as nodes or text. Text is never markup.
function el(name, attributes, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) {
    if (key === "on") for (const [event, act] of Object.entries(value)) element.addEventListener(event, act);
    else if (value === true) element.setAttribute(key, "");
    else if (value !== false && value != null) element.setAttribute(key, value);
  }
  element.append(...children);
  return element;
}
