import { Controller } from "../vendor/stimulus-3.2.2/stimulus.js";

const COLOURS = { train: "--series-train", eval: "--series-eval" };
const OTHERS = ["--series-3", "--series-4"];
const HEIGHT = 240;
const MOST_POINTS = 2000;
const MOST_ROWS = 500;
const loading = new Map();

// Several charts on a page share one answer.
function load(url) {
  if (!loading.has(url)) {
    const answer = fetch(url, { headers: { Accept: "application/json" } }).then((response) => {
      if (!response.ok) throw new Error(String(response.status));
      return response.json();
    });
    loading.set(url, answer);
    answer.catch(() => {}).finally(() => setTimeout(() => loading.delete(url), 300));
  }
  return loading.get(url);
}

// {"groups": [{"key", "title", "x", "series": [{"key", "label", "kind": "train"|"eval", "points": [[x, y], …]}]}],
//  "checkpoints": [{"x", "label"}]}
export default class extends Controller {
  static targets = ["plot", "legend", "readout", "caption", "table"];
  static values = { url: String, group: String, empty: String };

  connect() {
    this.recolour = () => this.draw();
    this.system = matchMedia("(prefers-color-scheme: dark)");
    this.system.addEventListener("change", this.recolour);
    document.addEventListener("theme:changed", this.recolour);
    this.resizer = new ResizeObserver(() => this.plot?.setSize({ width: this.plotTarget.clientWidth, height: HEIGHT }));
    this.resizer.observe(this.plotTarget);
    this.refresh();
  }

  disconnect() {
    this.system.removeEventListener("change", this.recolour);
    document.removeEventListener("theme:changed", this.recolour);
    this.resizer.disconnect();
    this.plot?.destroy();
    this.plot = null;
  }

  async refresh() {
    let answer;
    try {
      answer = await load(this.urlValue);
    } catch {
      return;
    }
    const group = answer.groups.find(({ key }) => key === this.groupValue) ?? (this.groupValue ? null : answer.groups[0]);
    this.series = (group?.series ?? []).filter(({ points }) => points.length);
    this.axis = group?.x ?? "step";
    this.checkpoints = answer.checkpoints ?? [];
    if (!this.element.isConnected) return;
    this.draw();
  }

  draw() {
    if (!this.series) return;
    this.plot?.destroy();
    this.plot = null;
    this.plotTarget.replaceChildren();
    this.element.classList.toggle("none", !this.series.length);
    this.legendTarget.replaceChildren(...this.series.map((each, index) => legendKey(each, index)));
    this.captionTarget.textContent = this.series.length ? this.lastValues() : this.emptyValue;
    if (!this.series.length || !window.uPlot) return;
    this.columns = aligned(this.series);
    this.plot = new window.uPlot(this.options(), this.columns, this.plotTarget);
    this.table();
  }

  options() {
    const css = getComputedStyle(this.element);
    const colour = (name) => css.getPropertyValue(name).trim();
    const paint = (name) => resolved(this.element, colour(name));
    const axis = { stroke: paint("--on-surface-variant"), grid: { stroke: paint("--hairline"), width: 0.5 }, ticks: { show: false }, font: `12px ${css.fontFamily}` };
    return {
      width: this.plotTarget.clientWidth,
      height: HEIGHT,
      legend: { show: false },
      cursor: { y: false, drag: { x: true, y: false } },
      scales: { x: { time: false } },
      axes: [{ ...axis, size: 32 }, { ...axis, size: 56 }],
      series: [{}, ...this.series.map((each, index) => ({
        label: each.label,
        stroke: paint(colourOf(each, index)),
        width: 2,
        dash: each.kind === "eval" ? [6, 4] : undefined,
        spanGaps: true,
        points: { show: each.points.length < 40 || each.kind === "eval", size: each.kind === "eval" ? 7 : 5 },
      }))],
      hooks: {
        draw: [(plot) => drawCheckpoints(plot, this.checkpoints, paint("--outline"), paint("--on-surface-variant"))],
        setCursor: [(plot) => this.read(plot.cursor.idx)],
      },
    };
  }

  read(index) {
    if (index == null) return;
    this.index = index;
    const values = this.series.map((each, number) => [each.label, this.columns[number + 1][index]]).filter(([, value]) => value != null);
    this.readoutTarget.textContent = `${this.axis} ${this.columns[0][index]} · ${values.map(([label, value]) => `${label} ${figure(value)}`).join(" · ")}`;
  }

  move(event) {
    const step = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10, Home: -Infinity, End: Infinity }[event.key];
    if (!step || !this.plot) return;
    event.preventDefault();
    const last = this.columns[0].length - 1;
    const index = Math.max(0, Math.min(last, (this.index ?? (step > 0 ? -1 : last + 1)) + step));
    this.plot.setCursor({ left: this.plot.valToPos(this.columns[0][index], "x"), top: 0 });
    this.read(index);
  }

  lastValues() {
    return this.series.map(({ label, points }) => `${label}: ${figure(points.at(-1)[1])} (${this.axis} ${points.at(-1)[0]})`).join(" · ");
  }

  table() {
    if (!this.tableTarget.closest("details").open || !this.columns) return;
    const table = document.createElement("table");
    table.className = "dt compact";
    const head = table.createTHead().insertRow();
    for (const label of [this.axis, ...this.series.map((each) => each.label)]) head.append(cell("th", label, "col"));
    const body = table.createTBody();
    const every = Math.ceil(this.columns[0].length / MOST_ROWS);
    for (let index = 0; index < this.columns[0].length; index += every) {
      const row = body.insertRow();
      row.append(cell("th", this.columns[0][index], "row"), ...this.series.map((_, number) => cell("td", figure(this.columns[number + 1][index]))));
    }
    this.tableTarget.replaceChildren(table);
  }
}

function cell(tag, text, scope) {
  const element = document.createElement(tag);
  element.textContent = text;
  element.className = "num";
  if (scope) element.scope = scope;
  return element;
}

function legendKey({ kind, label }, index) {
  const key = document.createElement("span");
  key.className = `key ${kind ?? `s${(index % 4) + 1}`}`;
  key.textContent = label;
  return key;
}

function colourOf({ kind }, index) {
  return COLOURS[kind] ?? OTHERS[index % OTHERS.length];
}

// A canvas does not know light-dark(); the browser resolves it as a colour of an element.
function resolved(element, value) {
  const probe = document.createElement("span");
  probe.hidden = true;
  probe.style.color = value;
  element.append(probe);
  const colour = getComputedStyle(probe).color;
  probe.remove();
  return colour;
}

function figure(value) {
  return value == null ? "–" : Number(value.toPrecision(4)).toString();
}

function thinned(points) {
  const every = Math.ceil(points.length / MOST_POINTS);
  return every < 2 ? points : points.filter((_, index) => index % every === 0 || index === points.length - 1);
}

function aligned(series) {
  const lines = series.map(({ points }) => new Map(thinned(points)));
  const steps = [...new Set(lines.flatMap((line) => [...line.keys()]))].sort((a, b) => a - b);
  return [steps, ...lines.map((line) => steps.map((step) => line.get(step) ?? null))];
}

function drawCheckpoints(plot, checkpoints, line, text) {
  const { ctx, bbox } = plot;
  ctx.save();
  ctx.strokeStyle = line;
  ctx.fillStyle = text;
  ctx.setLineDash([2, 4]);
  ctx.textAlign = "center";
  ctx.font = `${11 * devicePixelRatio}px sans-serif`;
  for (const { x, label } of checkpoints) {
    const left = Math.round(plot.valToPos(x, "x", true));
    if (left < bbox.left || left > bbox.left + bbox.width) continue;
    ctx.beginPath();
    ctx.moveTo(left, bbox.top);
    ctx.lineTo(left, bbox.top + bbox.height);
    ctx.stroke();
    ctx.fillText(`▲${label}`, left, bbox.top + 11 * devicePixelRatio);
  }
  ctx.restore();
}
