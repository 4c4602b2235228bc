import { Controller } from "../vendor/stimulus-3.2.2/stimulus.js";

const UNITS = [["year", 31536000], ["month", 2592000], ["week", 604800], ["day", 86400], ["hour", 3600], ["minute", 60]];
const FORMAT = new Intl.RelativeTimeFormat(document.documentElement.lang, { numeric: "auto" });
const shown = new Set();
let timer = 0;

// One clock for all times on the page.
export default class extends Controller {
  connect() {
    shown.add(this);
    timer ||= setInterval(() => shown.forEach((each) => each.show()), 20000);
  }

  disconnect() {
    shown.delete(this);
    if (shown.size) return;
    clearInterval(timer);
    timer = 0;
  }

  show() {
    const seconds = (new Date(this.element.dateTime) - Date.now()) / 1000;
    const [unit, size] = UNITS.find(([, least]) => Math.abs(seconds) >= least) ?? [];
    if (unit) this.element.textContent = FORMAT.format(Math.trunc(seconds / size), unit);
  }
}
