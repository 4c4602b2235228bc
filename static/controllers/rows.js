import { Controller } from "../vendor/stimulus-3.2.2/stimulus.js";
import { isShortcut } from "./hotkeys.js";

// The rows of a list by keyboard (j and k move, x ticks, Enter opens the focused link) and the count of those ticked.
export default class extends Controller {
  static targets = ["box", "all", "status"];

  connect() {
    this.count();
  }

  boxTargetConnected() {
    this.count();
  }

  boxTargetDisconnected() {
    this.count();
  }

  press(event) {
    if (!isShortcut(event) || !["j", "k", "x"].includes(event.key)) return;
    const links = [...this.element.querySelectorAll("tbody th a")];
    const now = links.findIndex((link) => link.closest("tr").contains(document.activeElement));
    if (event.key === "x") this.boxOf(links[now])?.click();
    else links[Math.max(0, Math.min(links.length - 1, now + (event.key === "j" ? 1 : -1)))]?.focus();
  }

  boxOf(link) {
    return link?.closest("tr").querySelector("input[type=checkbox]");
  }

  all() {
    for (const box of this.boxTargets) box.checked = this.allTarget.checked;
    this.count();
  }

  count() {
    const ticked = this.boxTargets.filter((box) => box.checked).length;
    if (this.hasAllTarget) {
      this.allTarget.checked = ticked > 0 && ticked === this.boxTargets.length;
      this.allTarget.indeterminate = ticked > 0 && ticked < this.boxTargets.length;
    }
    if (!this.hasStatusTarget) return;
    const { one, many } = this.statusTarget.dataset;
    const text = ticked ? (ticked === 1 ? one : many.replace("%n", ticked)) : "";
    if (this.statusTarget.textContent !== text) this.statusTarget.textContent = text;
  }
}
