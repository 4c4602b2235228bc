// Numbers only: from the series of the server to the columns of a chart.
const MOST_POINTS = 2000;

export function figure(value) {
  return value == null ? "–" : Number(value.toPrecision(4)).toString();
}

export function clock(seconds) {
  const whole = Math.round(seconds);
  const parts = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  return (parts[0] ? parts : parts.slice(1)).map((part, index) => (index ? String(part).padStart(2, "0") : part)).join(":");
}

function thinned(points) {
  const every = Math.ceil(points.length / MOST_POINTS);
  return every < 2 ? points : points.filter((_, index) => index % every === 0 || index === points.length - 1);
}

// [[x…], [y of the first series or null…], …] over every x that any of them has. Points are [step, value, seconds].
export function aligned(series, axis) {
  const place = axis === "time" ? 2 : 0;
  const lines = series.map(({ points }) => new Map(thinned(points).map((point) => [point[place], point[1]])));
  const xs = [...new Set(lines.flatMap((line) => [...line.keys()]))].sort((a, b) => a - b);
  return [xs, ...lines.map((line) => xs.map((x) => line.get(x) ?? null))];
}

// The exponential moving average that TensorBoard shows, without its pull towards zero at the start.
export function smoothed(values, weight) {
  let last = 0;
  let count = 0;
  return values.map((value) => {
    if (value == null) return null;
    last = last * weight + (1 - weight) * value;
    count += 1;
    return last / (1 - weight ** count);
  });
}

// A logarithm knows no zero.
export function positive(columns) {
  return columns.map((column, index) => (index ? column.map((value) => (value > 0 ? value : null)) : column));
}

// Where a step lies on the axis of time: at the point of any series that has it.
export function timeOf(series, step) {
  for (const { points } of series) {
    const found = points.find((point) => point[0] >= step);
    if (found) return found[2];
  }
  return null;
}
