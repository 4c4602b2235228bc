import { Controller } from "../vendor/stimulus-3.2.2/stimulus.js";

// A side panel that an address opened: it comes as a part of the page, and becomes a modal dialog here.
export default class extends Controller {
  static values = { back: String };

  connect() {
    this.element.close();
    this.element.showModal();
    this.isModal = true;
  }

  close(event) {
    event.preventDefault();
    this.element.close();
  }

  // The address then names the page without the panel, and the focus is on the link that leads here: the browser knows
  // nothing that had it before. The close of connect() is reported late.
  left() {
    if (!this.isModal || this.element.open) return;
    const action = new URL(location.href).searchParams.get("action");
    const links = Array.from(document.querySelectorAll(`main a[href*="action=${CSS.escape(action ?? "")}"]`));
    const opener = action && links.find((link) => link.pathname === location.pathname);
    history.replaceState(history.state, "", this.backValue);
    opener?.focus();
  }
}
