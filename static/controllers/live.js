import { Controller } from "../vendor/stimulus-3.2.2/stimulus.js";

const RETRY_MS = 4000;

// Watches the page's one stream (opened by hx-sse on this element): shows when it is lost, opens it again when even the
// first connection failed, and gets a new ticket by reading the page again when the old one has run out.
export default class extends Controller {
  connect() {
    this.handlers = {
      "htmx:sse:after:connection": () => this.note(false),
      "htmx:sse:error": ({ detail }) => (detail.status === 403 ? this.renew() : this.note(true)),
      "htmx:response:error": ({ detail }) => (detail.ctx.response.status === 403 ? this.renew() : this.again()),
      "htmx:error": () => this.again(),
    };
    for (const [name, handler] of Object.entries(this.handlers)) this.element.addEventListener(name, handler);
  }

  disconnect() {
    clearTimeout(this.timer);
    for (const [name, handler] of Object.entries(this.handlers)) this.element.removeEventListener(name, handler);
  }

  note(lost) {
    const note = document.getElementById("live-note");
    if (note) note.hidden = !lost;
  }

  again() {
    this.note(true);
    clearTimeout(this.timer);
    this.timer = setTimeout(() => window.htmx.process(this.element, true), RETRY_MS);
  }

  renew() {
    this.note(true);
    clearTimeout(this.timer);
    const page = location.pathname + location.search;
    this.timer = setTimeout(() => window.htmx.ajax("GET", page, { target: this.element, swap: "outerHTML", select: "#live" }), RETRY_MS);
  }
}
