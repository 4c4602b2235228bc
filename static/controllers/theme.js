import { Controller } from "../vendor/stimulus-3.2.2/stimulus.js";

// Applies the theme at once; the form still tells the server, which sets it on the next page.
export default class extends Controller {
  choose(event) {
    const { submitter } = event;
    if (!submitter) return;
    event.preventDefault();
    const data = new FormData(this.element, submitter);
    if (submitter.value === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = submitter.value;
    for (const button of this.element.querySelectorAll("[aria-pressed]")) {
      button.setAttribute("aria-pressed", String(button === submitter));
    }
    document.dispatchEvent(new CustomEvent("theme:changed"));
    fetch(this.element.action, { method: "POST", body: new URLSearchParams(data), headers: { "HX-Request": "true" } });
  }
}
