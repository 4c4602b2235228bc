import { Controller } from "../vendor/stimulus-3.2.2/stimulus.js";

// A file field that also takes a dropped file, names what was chosen and shows that it is being sent.
export default class extends Controller {
  static targets = ["name", "bar"];

  connect() {
    this.input = this.element.querySelector('input[type="file"]');
    this.show = () => this.named();
    this.input.addEventListener("change", this.show);
  }

  disconnect() {
    this.input.removeEventListener("change", this.show);
  }

  named() {
    const files = [...this.input.files];
    if (files.length) this.nameTarget.textContent = files.map((file) => `${file.name}, ${size(file.size)}`).join(" · ");
  }

  over(event) {
    event.preventDefault();
    this.element.classList.add("over");
  }

  out() {
    this.element.classList.remove("over");
  }

  drop(event) {
    event.preventDefault();
    this.out();
    if (!event.dataTransfer.files.length) return;
    this.input.files = event.dataTransfer.files;
    this.input.dispatchEvent(new Event("change", { bubbles: true }));
  }

  sending({ target }) {
    if (target === this.input.form) this.barTarget.hidden = false;
  }

  done({ target }) {
    if (target === this.input.form) this.barTarget.hidden = true;
  }
}

function size(bytes) {
  const [unit, divisor] = bytes < 1e6 ? ["kB", 1e3] : ["MB", 1e6];
  return `${(bytes / divisor).toLocaleString(document.documentElement.lang, { maximumFractionDigits: 1 })} ${unit}`;
}
