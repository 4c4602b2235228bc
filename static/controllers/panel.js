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

  // The address then names the page without the panel. The close of connect() is reported late.
  left() {
    if (this.isModal && !this.element.open) history.replaceState(history.state, "", this.backValue);
  }
}
