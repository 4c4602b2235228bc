import { Controller } from "../vendor/stimulus-3.2.2/stimulus.js";

const SEQUENCE_MS = 1200;

// Every single-key shortcut asks here; the person may have switched them all off.
export function isShortcut(event) {
  if (document.documentElement.dataset.keys === "off") return false;
  if (event.defaultPrevented || event.isComposing || event.ctrlKey || event.metaKey || event.altKey) return false;
  return !event.target.closest("input:not([type=checkbox], [type=radio]), textarea, select, [contenteditable], dialog[open]");
}

// "/" searches, "g" and a letter goes to a page, "n" and others follow [data-key], "?" lists the keys. Never in a field.
export default class extends Controller {
  static targets = ["search", "go", "sheet"];

  press(event) {
    if (!isShortcut(event)) return;
    const going = this.started && event.timeStamp - this.started < SEQUENCE_MS;
    this.started = 0;
    if (going) this.follow(this.goTargets.find((link) => link.dataset.key === event.key), event);
    else if (event.key === "g") this.started = event.timeStamp;
    else if (event.key === "/") this.search(event);
    else if (event.key === "?" && this.hasSheetTarget) this.sheetTarget.showModal();
    else if (/^[nr1-4]$/.test(event.key)) this.follow(document.querySelector(`main [data-key="${event.key}"]`), event);
  }

  follow(link, event) {
    if (!link) return;
    event.preventDefault();
    link.click();
  }

  search(event) {
    if (!this.hasSearchTarget) return;
    event.preventDefault();
    const form = this.searchTarget;
    if (!form.checkVisibility()) form.showPopover();
    form.querySelector("input").focus();
  }

  searching({ newState, currentTarget }) {
    if (newState === "open") currentTarget.querySelector("input").focus();
  }
}
