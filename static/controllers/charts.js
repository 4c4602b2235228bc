import { Controller } from "../vendor/stimulus-3.2.2/stimulus.js";

// What all charts of a card have in common: smoothing, axes, which are shown, and the one text that is read out.
export default class extends Controller {
  static targets = ["smoothing", "amount", "axis", "log", "filter", "group", "status"];

  change() {
    this.element.dataset.smoothing = this.smoothingTarget.value;
    this.element.dataset.axis = this.axisTarget.value;
    this.element.dataset.log = this.logTarget.checked;
    this.amountTarget.textContent = this.smoothingTarget.value;
    this.dispatch("changed");
  }

  filter() {
    const wanted = this.filterTarget.value.trim().toLowerCase();
    for (const group of this.groupTargets) group.hidden = !group.dataset.name.toLowerCase().includes(wanted);
  }

  say({ detail }) {
    this.statusTarget.textContent = detail.text;
  }
}
