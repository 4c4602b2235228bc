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
    this.element.remove();
    if (document.activeElement === document.body) this.opener?.focus();
  }
}
