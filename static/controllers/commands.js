import { Controller } from "../vendor/stimulus-3.2.2/stimulus.js";

// A "/" at the beginning of a message lists what can be done by its name. Only what this page has is offered.
export default class extends Controller {
  static targets = ["input", "list", "option"];

  connect() {
    this.at = 0;
    this.list = this.listTarget;
    this.all = this.optionTargets.filter((option) => aim(option));
  }

  typed() {
    const word = this.inputTarget.value;
    const found = /^\/[a-z]*$/i.test(word) ? this.all.filter((option) => option.dataset.word.startsWith(word.toLowerCase())) : [];
    for (const option of this.optionTargets) option.hidden = !found.includes(option);
    this.show(found, 0);
  }

  show(found, at) {
    this.found = found;
    this.at = at;
    this.list.hidden = !found.length;
    for (const option of this.optionTargets) option.setAttribute("aria-selected", String(option === found[at]));
    if (found.length) this.inputTarget.setAttribute("aria-activedescendant", found[at].id);
    else this.inputTarget.removeAttribute("aria-activedescendant");
  }

  key(event) {
    if (this.list.hidden || event.isComposing || event.keyCode === 229) return;
    const count = this.found.length;
    if (event.key === "ArrowDown") this.show(this.found, (this.at + 1) % count);
    else if (event.key === "ArrowUp") this.show(this.found, (this.at + count - 1) % count);
    else if (event.key === "Enter" || event.key === "Tab") this.run(this.found[this.at]);
    else if (event.key === "Escape") this.show([], 0);
    else return;
    event.preventDefault();
    event.stopImmediatePropagation();
  }

  hold(event) {
    event.preventDefault();
  }

  choose({ currentTarget }) {
    this.run(currentTarget);
  }

  left() {
    this.show([], 0);
  }

  run(option) {
    this.show([], 0);
    this.inputTarget.value = "";
    this.inputTarget.dispatchEvent(new Event("input", { bubbles: true }));
    const target = aim(option);
    const fold = target.closest("details");
    if (fold) fold.open = true;
    if (target.matches("dialog")) target.showModal();
    else if (target.matches("a, button")) target.click();
    else target.focus();
  }
}

function aim(option) {
  return document.querySelector(option.dataset.aim);
}
