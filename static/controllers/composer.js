import { Controller } from "../vendor/stimulus-3.2.2/stimulus.js";

// Enter sends, Shift+Enter makes a line, Ctrl or Cmd+Enter always sends; never while an input method composes.
// A draft is kept for this browser tab until the message was accepted.
export default class extends Controller {
  static targets = ["input", "send"];
  static values = { draft: String };

  connect() {
    const kept = this.draftValue && sessionStorage.getItem(this.draftValue);
    if (kept && !this.inputTarget.value) this.inputTarget.value = kept;
    this.changed();
  }

  key(event) {
    if (event.key !== "Enter" || event.isComposing || event.keyCode === 229) return;
    if (event.shiftKey && !event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    if (this.inputTarget.value.trim() && !this.busy) this.element.requestSubmit();
  }

  changed() {
    if (this.draftValue) sessionStorage.setItem(this.draftValue, this.inputTarget.value);
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
