import { Controller } from "../vendor/stimulus-3.2.2/stimulus.js";

const SENT = "draft-sent";

// Enter sends, Shift+Enter makes a line, Ctrl or Cmd+Enter always sends; never while an input method composes.
// A draft outlives the tab; it is dropped once the message was accepted. Signing out drops all.
export default class extends Controller {
  static targets = ["input", "send"];
  static values = { draft: String };

  connect() {
    // A form that was sent without htmx was accepted if it led to another page.
    const left = sessionStorage.getItem(SENT);
    sessionStorage.removeItem(SENT);
    if (left && left !== this.draftValue) localStorage.removeItem(left);
    const kept = this.draftValue && localStorage.getItem(this.draftValue);
    if (kept && !this.inputTarget.value) this.inputTarget.value = kept;
    this.changed();
  }

  key(event) {
    if (event.isComposing || event.keyCode === 229) return;
    if (event.key === "Enter" && (!event.shiftKey || event.ctrlKey || event.metaKey)) this.send(event);
    else if (event.key === "ArrowUp" && !this.inputTarget.value) this.editLast(event);
    else if (event.key === "Escape") this.inputTarget.blur();
  }

  send(event) {
    event.preventDefault();
    if (this.inputTarget.value.trim() && !this.busy) this.element.requestSubmit();
  }

  editLast(event) {
    const button = [...document.querySelectorAll("[data-edit-last]")].at(-1);
    if (!button) return;
    event.preventDefault();
    button.click();
  }

  changed() {
    if (!this.draftValue) return;
    if (this.inputTarget.value) localStorage.setItem(this.draftValue, this.inputTarget.value);
    else localStorage.removeItem(this.draftValue);
  }

  leaving() {
    sessionStorage.setItem(SENT, this.draftValue);
  }

  suggest({ params }) {
    this.inputTarget.value = params.text;
    this.changed();
    this.inputTarget.focus();
  }

  sending() {
    this.busy = true;
  }

  sent({ detail }) {
    this.busy = false;
    if (!(detail.ctx.response?.status < 400)) return;
    this.inputTarget.value = "";
    this.inputTarget.dispatchEvent(new Event("input", { bubbles: true }));
    this.changed();
    this.inputTarget.focus();
  }
}
