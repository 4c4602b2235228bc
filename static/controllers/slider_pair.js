import { Controller } from "../vendor/stimulus-3.2.2/stimulus.js";

// The number box is the field that is sent; the slider beside it is a second handle on the same value.
export default class extends Controller {
  static targets = ["range"];

  connect() {
    this.box = this.element.querySelector('input:not([type="range"])');
    this.fromBox = () => { this.rangeTarget.value = this.box.value || this.box.dataset.default || ""; };
    this.box.addEventListener("input", this.fromBox);
    this.fromBox();
  }

  disconnect() {
    this.box.removeEventListener("input", this.fromBox);
  }

  fromRange() {
    this.box.value = this.rangeTarget.value;
    this.box.dispatchEvent(new Event("input", { bubbles: true }));
    this.box.dispatchEvent(new Event("change", { bubbles: true }));
  }
}
