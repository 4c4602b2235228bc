import { Controller } from "../vendor/stimulus-3.2.2/stimulus.js";
import { aligned, clock, figure, positive, smoothed, timeOf } from "./chart_lines.js";
import { colourOf, dashOf, drawCheckpoints, legendKey, resolved } from "./chart_paint.js";

const HEIGHT = 240;
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

// {"groups": [{"key", "title", "x", "series": [{"key", "label", "kind": "train"|"eval" or "run": 1…6,
//  "points": [[step, value, seconds], …]}]}], "checkpoints": [{"x": step, "label"}]}
export default class extends Controller {
  static targets = ["plot", "legend", "readout", "caption", "table"];
  static values = { url: String, group: String, empty: String, time: String };

  connect() {
    this.recolour = () => this.draw();
    this.system = matchMedia("(prefers-color-scheme: dark)");
    this.system.addEventListener("change", this.recolour);
    document.addEventListener("theme:changed", this.recolour);
    this.resizer = new ResizeObserver(() => this.fit());
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

  get board() {
    return this.element.closest("[data-controller~=charts]");
  }

  // Inside a closed group it has no width; it is drawn when it gets one.
  fit() {
    const width = this.plotTarget.clientWidth;
    if (!width) return;
    if (this.plot) this.plot.setSize({ width, height: HEIGHT });
    else this.draw();
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
    this.stepWord = group?.x ?? "step";
    this.checkpoints = answer.checkpoints ?? [];
    if (this.element.isConnected) this.draw();
  }

  draw() {
    if (!this.series) return;
    this.plot?.destroy();
    this.plot = null;
    this.plotTarget.replaceChildren();
    this.element.classList.toggle("none", !this.series.length);
    this.legendTarget.replaceChildren(...this.series.map(legendKey));
    this.captionTarget.textContent = this.series.length ? this.lastValues() : this.emptyValue;
    const { axis = "step", smoothing = "0", log = "false" } = this.board?.dataset ?? {};
    this.byTime = axis === "time";
    this.columns = aligned(this.series, axis);
    this.table();
    if (!this.series.length || !window.uPlot || !this.plotTarget.clientWidth) return;
    const weight = Number(smoothing);
    const smooth = this.series.map((each, index) => (weight && each.kind !== "eval" ? smoothed(this.columns[index + 1], weight) : null));
    const columns = [...this.columns, ...smooth.filter(Boolean)];
    this.plot = new window.uPlot(this.options(smooth, log === "true"), log === "true" ? positive(columns) : columns, this.plotTarget);
  }

  options(smooth, log) {
    const css = getComputedStyle(this.element);
    const paint = (name) => resolved(this.element, css.getPropertyValue(name).trim());
    const axis = { stroke: paint("--on-surface-variant"), grid: { stroke: paint("--hairline"), width: 0.5 }, ticks: { show: false }, font: `12px ${css.fontFamily}` };
    const curve = (each, index, more) => ({ label: each.label, stroke: paint(colourOf(each, index)), width: 2, dash: dashOf(each, index), spanGaps: true, ...more });
    const dots = (each) => ({ show: each.points.length < 40 || each.kind === "eval", size: each.kind === "eval" ? 7 : 5 });
    const raw = this.series.map((each, index) => curve(each, index, smooth[index] ? { alpha: 0.3, width: 1, points: { show: false } } : { points: dots(each) }));
    const smoother = this.series.flatMap((each, index) => (smooth[index] ? [curve(each, index, { points: { show: false } })] : []));
    const marks = this.checkpoints.map(({ x, label }) => ({ x: this.byTime ? timeOf(this.series, x) : x, label }));
    return {
      width: this.plotTarget.clientWidth,
      height: HEIGHT,
      legend: { show: false },
      cursor: { y: false, drag: { x: true, y: false }, sync: { key: this.board?.querySelector("h2")?.id ?? this.element.id } },
      scales: { x: { time: false }, y: { distr: log ? 3 : 1 } },
      axes: [{ ...axis, size: 32, ...(this.byTime ? { values: (_, seconds) => seconds.map(clock) } : {}) }, { ...axis, size: 56, ...(log ? { values: (_, values) => values.map((value) => (value == null ? "" : figure(value))) } : {}) }],
      series: [{}, ...raw, ...smoother],
      hooks: {
        draw: [(plot) => drawCheckpoints(plot, marks, paint("--outline"), paint("--on-surface-variant"))],
        setCursor: [(plot) => this.read(plot.cursor.idx)],
      },
    };
  }

  position(x) {
    return this.byTime ? `${this.timeValue} ${clock(x)}` : `${this.stepWord} ${x}`;
  }

  read(index) {
    if (index == null || index >= this.columns[0].length) return;
    this.index = index;
    const values = this.series.map((each, number) => [each.label, this.columns[number + 1][index]]).filter(([, value]) => value != null);
    this.readoutTarget.textContent = `${this.position(this.columns[0][index])} · ${values.map(([label, value]) => `${label} ${figure(value)}`).join(" · ")}`;
  }

  move(event) {
    const step = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10, Home: -Infinity, End: Infinity }[event.key];
    if (!step || !this.plot) return;
    event.preventDefault();
    const last = this.columns[0].length - 1;
    const index = Math.max(0, Math.min(last, (this.index ?? (step > 0 ? -1 : last + 1)) + step));
    this.plot.setCursor({ left: this.plot.valToPos(this.columns[0][index], "x"), top: 0 }, true, true);
    this.read(index);
    this.dispatch("said", { detail: { text: this.readoutTarget.textContent } });
  }

  lastValues() {
    return this.series.map(({ label, points }) => `${label}: ${figure(points.at(-1)[1])} (${this.stepWord} ${points.at(-1)[0]})`).join(" · ");
  }

  table() {
    if (!this.tableTarget.closest("details").open || !this.columns) return;
    const table = document.createElement("table");
    table.className = "dt compact";
    const head = table.createTHead().insertRow();
    for (const label of [this.byTime ? this.timeValue : this.stepWord, ...this.series.map((each) => each.label)]) head.append(cell("th", label, "col"));
    const body = table.createTBody();
    const every = Math.ceil(this.columns[0].length / MOST_ROWS);
    for (let index = 0; index < this.columns[0].length; index += every) {
      const x = this.columns[0][index];
      body.insertRow().append(cell("th", this.byTime ? clock(x) : x, "row"), ...this.series.map((_, number) => cell("td", figure(this.columns[number + 1][index]))));
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
