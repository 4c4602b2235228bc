import { Controller } from "../vendor/stimulus-3.2.2/stimulus.js";

const NATIVE = CSS.supports("field-sizing", "content");

// For browsers without `field-sizing: content`.
export default class extends Controller {
  connect() {
    if (NATIVE) return;
    this.fit = this.fit.bind(this);
    this.element.addEventListener("input", this.fit);
    this.fit();
  }

  disconnect() {
    this.element.removeEventListener("input", this.fit);
  }

  fit() {
    this.element.style.blockSize = "auto";
    this.element.style.blockSize = `${this.element.scrollHeight}px`;
  }
}
