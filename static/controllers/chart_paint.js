// Colours, dashes and marks. Curves differ by their dashes, too, and not by colour alone.
const COLOURS = { train: "--series-train", eval: "--series-eval" };
const RUNS = ["--series-train", "--series-eval", "--series-3", "--series-4", "--series-5", "--series-6"];
const DASHES = [[], [8, 4], [2, 3], [12, 4, 2, 4], [5, 2], [1, 5]];

function place({ run }, index) {
  return ((run ?? index + 1) - 1) % RUNS.length;
}

export function colourOf(series, index) {
  return COLOURS[series.kind] ?? RUNS[place(series, index)];
}

export function dashOf(series, index) {
  if (series.kind) return series.kind === "eval" ? [6, 4] : [];
  return DASHES[place(series, index)];
}

// A canvas does not know light-dark(); the browser resolves it as a colour of an element.
export function resolved(element, value) {
  const probe = document.createElement("span");
  probe.hidden = true;
  probe.style.color = value;
  element.append(probe);
  const colour = getComputedStyle(probe).color;
  probe.remove();
  return colour;
}

export function legendKey(series, index) {
  const line = document.createElementNS("http://www.w3.org/2000/svg", "line");
  for (const [name, value] of Object.entries({ x1: 0, x2: 24, y1: 4, y2: 4, "stroke-dasharray": dashOf(series, index).join(" ") || "none" })) line.setAttribute(name, value);
  const picture = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  picture.setAttribute("viewBox", "0 0 24 8");
  picture.setAttribute("aria-hidden", "true");
  picture.append(line);
  const key = document.createElement("span");
  key.className = `key ${series.kind ?? `s${place(series, index) + 1}`}`;
  key.append(picture, series.label);
  return key;
}

export function drawCheckpoints(plot, checkpoints, line, text) {
  const { ctx, bbox } = plot;
  ctx.save();
  ctx.strokeStyle = line;
  ctx.fillStyle = text;
  ctx.setLineDash([2, 4]);
  ctx.textAlign = "center";
  ctx.font = `${11 * devicePixelRatio}px sans-serif`;
  for (const { x, label } of checkpoints) {
    const left = Math.round(plot.valToPos(x, "x", true));
    if (x == null || left < bbox.left || left > bbox.left + bbox.width) continue;
    ctx.beginPath();
    ctx.moveTo(left, bbox.top);
    ctx.lineTo(left, bbox.top + bbox.height);
    ctx.stroke();
    ctx.fillText(`▲${label}`, left, bbox.top + 11 * devicePixelRatio);
  }
  ctx.restore();
}
