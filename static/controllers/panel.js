import { Controller } from "../vendor/stimulus-3.2.2/stimulus.js";

// A side panel that an address opened: it comes as a part of the page, and becomes a modal dialog here.
export default class extends Controller {
  static values = { back: String };

  connect() {
    this.address = location.href;
    this.element.close();
    this.element.showModal();
    this.isModal = true;
  }

  close(event) {
    event.preventDefault();
    this.element.close();
  }

  // The address then names the page without the panel, and the link that opened it has the focus again. The close of
  // connect() is reported late.
  left() {
    if (!this.isModal || this.element.open) return;
    history.replaceState(history.state, "", this.backValue);
    [...document.links].find((link) => link.href === this.address && !this.element.contains(link))?.focus();
  }
}
