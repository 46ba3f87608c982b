// The page: runs come to life when they are first opened; links between expectations, timeline and console; theme, keys.

document.documentElement.classList.add("live");
const runs = new Map();

// Timeline and console of a run, made when first asked for.
function live(name) {
  if (runs.has(name)) return runs.get(name);
  const section = document.getElementById(name);
  const place = section.querySelector(".timeline[data-of]");
  if (!place) return null;
  const stored = document.getElementById(place.dataset.of);
  const data = decode(stored.textContent);
  stored.remove(); // Held once is enough.
  const log = new Console(section.querySelector(".console[data-of]"), data, name);
  const line = new Timeline(place, data, name);
  const run = { section, data, log, line, goTo, toExpectation };
  line.console = () => { const rows = log.inSight(); return rows && [data.at[rows[0]], data.at[rows[1]]]; };
  line.onPick = (row, focus) => {
    log.select(row, { tell: false });
    if (focus) log.view.focus();
  };
  log.onSelect = (row) => line.point(row);
  log.onScroll = () => line.draw();
  log.onBack = (expectation) => (expectation == null ? line.drawing.focus() : toExpectation(expectation));
  function goTo(row) {
    log.select(row, { tell: false });
    line.point(row, { close: true });
    line.root.scrollIntoView({ block: "nearest" });
    log.root.scrollIntoView({ block: "nearest" });
    log.view.focus({ preventScroll: true });
  }
  function toExpectation(index) {
    const card = document.getElementById(name + "-e" + index);
    if (!card) return;
    card.scrollIntoView({ block: "center" });
    card.querySelector(":scope > button").focus({ preventScroll: true });
    card.classList.add("pointed");
    setTimeout(() => card.classList.remove("pointed"), 1600);
  }
  runs.set(name, run);
  // It opens at what failed, else at what decided.
  const failed = data.decidingRows.find((row) => data.decides.get(row).some((e) => line.failed(e)));
  const first = failed ?? data.decidingRows[0];
  if (first !== undefined) log.select(first, { tell: false });
  return run;
}

for (const section of document.querySelectorAll("details.run")) {
  section.addEventListener("toggle", () => section.open && live(section.id));
}

document.addEventListener("click", (event) => {
  const go = event.target.closest("button.go");
  if (!go) return;
  const run = live(go.dataset.of);
  if (!run) return;
  const index = go.dataset.expectation;
  if (go.dataset.row !== undefined) run.goTo(Number(go.dataset.row));
  else if (run.data.deciding[index].length) run.goTo(run.data.deciding[index][0]);
  // What never happened was decided when observation ended.
  else run.goTo(run.data.count - 1);
});

// A link to a run opens it.
function openTarget() {
  const target = document.getElementById(location.hash.slice(1));
  if (target && target.matches("details.run")) {
    target.open = true;
    target.scrollIntoView();
  }
}
addEventListener("hashchange", openTarget);
document.addEventListener("click", (e) => e.target.closest("a[href^='#']") && setTimeout(openTarget));

const theme = {
  // Storage may be refused to a file: then the choice holds for this visit.
  get() { try { return localStorage.getItem("brickproof-theme"); } catch { return null; } },
  set(name) {
    document.documentElement.dataset.theme = name;
    try { localStorage.setItem("brickproof-theme", name); } catch { /* as said */ }
  },
  turn() {
    const dark = document.documentElement.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
    this.set(dark === "dark" ? "light" : "dark");
  },
};
if (theme.get()) document.documentElement.dataset.theme = theme.get();
document.getElementById("theme").addEventListener("click", () => theme.turn());

const keys = document.getElementById("keys");
document.getElementById("help").addEventListener("click", () => keys.showModal());
document.getElementById("close").addEventListener("click", () => keys.close());

// The next run that did not pass, in the page's order, round and round.
function nextFailed() {
  const failed = [...document.querySelectorAll("details.run")].filter((s) => s.querySelector("summary .status:is(.fail, .error)"));
  if (!failed.length) return;
  const now = failed.findIndex((s) => s.contains(document.activeElement));
  const next = failed[(now + 1) % failed.length];
  next.open = true;
  next.scrollIntoView();
  next.querySelector("summary").focus({ preventScroll: true });
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select")) return;
  if (event.key === "?") keys.open ? keys.close() : keys.showModal();
  else if (event.key === "t") theme.turn();
  else if (event.key === "f") nextFailed();
});

// On paper what is folded away cannot be opened: what did not pass is opened for it.
addEventListener("beforeprint", () => {
  for (const section of document.querySelectorAll("details.run")) if (section.querySelector(".status.fail, .status.error")) section.open = true;
});

for (const section of document.querySelectorAll("details.run[open]")) live(section.id);
openTarget();
