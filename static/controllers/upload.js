import { Controller } from "../vendor/stimulus-3.2.2/stimulus.js";

// A file field that also takes a dropped file, names what was chosen, and shows how much of it was sent and then checked.
export default class extends Controller {
  static targets = ["name", "bar", "told"];
  static values = { sent: String, checking: String, read: String, reading: String };

  connect() {
    this.input = this.element.querySelector('input[type="file"]');
    this.show = () => this.named();
    this.input.addEventListener("change", this.show);
    this.heard = ({ detail }) => this.tell(this.readValue.replace("%(rows)s", number(detail.data)));
  }

  disconnect() {
    this.input.removeEventListener("change", this.show);
    document.removeEventListener(`reading-${this.readingValue}`, this.heard);
  }

  named() {
    const files = [...this.input.files];
    if (files.length) this.nameTarget.textContent = files.map((file) => `${file.name}, ${size(file.size)}`).join(" · ");
  }

  over(event) {
    event.preventDefault();
    this.element.classList.add("over");
  }

  out() {
    this.element.classList.remove("over");
  }

  drop(event) {
    event.preventDefault();
    this.out();
    if (!event.dataTransfer.files.length) return;
    this.input.files = event.dataTransfer.files;
    this.input.dispatchEvent(new Event("change", { bubbles: true }));
  }

  sending({ target, detail }) {
    if (target !== this.input.form || !this.input.files.length || detail.ctx.request.method === "GET") return;
    this.barTarget.removeAttribute("value");
    this.barTarget.hidden = this.toldTarget.hidden = false;
    this.tell("");
    if (this.readingValue) document.addEventListener(`reading-${this.readingValue}`, this.heard);
    detail.ctx.fetch = (url, request) => posted(url, request, (progress) => this.progressed(progress));
  }

  progressed({ loaded, total }) {
    if (loaded < total) {
      this.barTarget.value = (100 * loaded) / total;
      this.tell(this.sentValue.replace("%(sent)s", size(loaded)).replace("%(size)s", size(total)));
    } else {
      this.barTarget.removeAttribute("value");
      this.tell(this.checkingValue);
    }
  }

  tell(text) {
    this.toldTarget.textContent = text;
  }

  done({ target }) {
    if (target !== this.input.form) return;
    this.barTarget.hidden = this.toldTarget.hidden = true;
    document.removeEventListener(`reading-${this.readingValue}`, this.heard);
  }
}

// As fetch, which cannot say how much of a body was sent.
function posted(url, { method, headers, body, signal }, progressed) {
  return new Promise((resolve, reject) => {
    const asked = new XMLHttpRequest();
    asked.open(method, url);
    for (const [name, value] of Object.entries(headers)) if (value != null) asked.setRequestHeader(name, value);
    asked.upload.addEventListener("progress", progressed);
    asked.addEventListener("load", () => resolve(answered(asked)));
    asked.addEventListener("error", () => reject(new TypeError("The network failed")));
    asked.addEventListener("abort", () => reject(new DOMException("Stopped", "AbortError")));
    signal?.addEventListener("abort", () => asked.abort());
    asked.send(body);
  });
}

function answered(asked) {
  const headers = asked.getAllResponseHeaders().trim().split("\r\n").map((line) => line.split(/:\s*(.*)/s).slice(0, 2));
  return new Response([204, 205, 304].includes(asked.status) ? null : asked.response, { status: asked.status, headers });
}

function number(text) {
  return Number(text).toLocaleString(document.documentElement.lang);
}

function size(bytes) {
  const [unit, divisor] = bytes < 1e3 ? ["B", 1] : bytes < 1e6 ? ["kB", 1e3] : ["MB", 1e6];
  return `${(bytes / divisor).toLocaleString(document.documentElement.lang, { maximumFractionDigits: 1 })} ${unit}`;
}
