import { Controller } from "../vendor/stimulus-3.2.2/stimulus.js";

// A dialog that was fetched opens itself, and leaves the page when it is closed.
export default class extends Controller {
  connect() {
    const active = document.activeElement;
    const menu = active?.closest("[popover]");
    this.opener = menu ? document.querySelector(`[popovertarget="${menu.id}"]`) : active;
    this.element.addEventListener("close", () => this.leave());
    this.element.showModal();
  }

  leave() {
    const address = this.element.querySelector("form")?.getAttribute("action");
    this.element.remove();
    if (document.activeElement !== document.body) return;
    // The link that opened it may have been drawn anew meanwhile.
    const drawnAgain = () => document.querySelector(`[hx-target="#dialogs"][hx-get="${CSS.escape(address ?? "")}"]`);
    const opener = this.opener?.isConnected && this.opener !== document.body ? this.opener : drawnAgain();
    opener?.focus();
  }
}
