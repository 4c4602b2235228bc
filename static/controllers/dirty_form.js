import { Controller } from "../vendor/stimulus-3.2.2/stimulus.js";

// Asks before a page with unsent input is left.
export default class extends Controller {
  connect() {
    this.sent = false;
    this.first = this.state();
    this.guard = (event) => {
      if (!this.sent && this.state() !== this.first) event.preventDefault();
    };
    this.send = () => { this.sent = true; };
    this.settle = ({ target, detail }) => {
      if (target === this.element) this.sent = detail.ctx.response?.status < 400;
    };
    addEventListener("beforeunload", this.guard);
    this.element.addEventListener("submit", this.send);
    this.element.addEventListener("htmx:after:request", this.settle);
  }

  disconnect() {
    removeEventListener("beforeunload", this.guard);
    this.element.removeEventListener("submit", this.send);
    this.element.removeEventListener("htmx:after:request", this.settle);
  }

  state() {
    const pairs = [...new FormData(this.element)].filter(([name]) => name !== "csrfmiddlewaretoken");
    return JSON.stringify(pairs.map(([name, value]) => [name, value instanceof File ? value.name : value]));
  }
}
