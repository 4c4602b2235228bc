import { Controller } from "../vendor/stimulus-3.2.2/stimulus.js";

// Pictures chosen, pasted or dropped anywhere on the page are sent one by one; the message then names them.
// A message that is sent while pictures are still on their way waits for them.
export default class extends Controller {
  static targets = ["list", "problems", "zone", "input", "reason"];
  static values = { url: String, endpoint: String, box: String, limit: Number, refused: Object, large: String, failed: String, adding: String };

  connect() {
    this.queue = Promise.resolve();
    this.waiting = 0;
    if (this.form.elements.endpoint) this.judge();
  }

  get form() {
    return this.listTarget.closest("form");
  }

  get endpoint() {
    return this.form.elements.endpoint?.value || this.endpointValue;
  }

  get refusal() {
    return this.refusedValue[this.endpoint] ?? "";
  }

  // The endpoint may be chosen on this page.
  judge({ target } = {}) {
    if (target && target !== this.form.elements.endpoint) return;
    for (const input of this.inputTargets) input.disabled = Boolean(this.refusal);
    this.reasonTarget.textContent = this.refusal;
  }

  chosen({ currentTarget }) {
    this.add([...currentTarget.files]);
    currentTarget.value = "";
  }

  paste(event) {
    const { files, types } = event.clipboardData;
    if (!files.length || types.includes("text/plain")) return;
    event.preventDefault();
    this.add([...files]);
  }

  over(event) {
    if (!event.dataTransfer.types.includes("Files")) return;
    event.preventDefault();
    this.zoneTarget.hidden = false;
  }

  out({ relatedTarget }) {
    if (!relatedTarget) this.zoneTarget.hidden = true;
  }

  drop(event) {
    this.zoneTarget.hidden = true;
    if (!event.dataTransfer.files.length) return;
    event.preventDefault();
    this.add([...event.dataTransfer.files]);
  }

  add(files) {
    this.problemsTarget.replaceChildren();
    if (this.refusal) return this.complain(this.refusal);
    for (const file of files) {
      if (file.size > this.limitValue) this.complain(this.largeValue, file);
      else this.enqueue(file);
    }
  }

  // One that the page proposes, which lies among its own files.
  async fetchSample({ detail }) {
    const name = detail.split("/").pop().replace(/\.[0-9a-f]{12}(?=\.)/, "");
    const blob = await fetch(detail).then((answer) => answer.ok && answer.blob()).catch(() => null);
    if (blob) this.add([new File([blob], name, { type: blob.type })]);
    else this.complain(this.failedValue, { name });
  }

  complain(text, file) {
    const line = document.createElement("p");
    line.textContent = text.replace("{name}", file?.name);
    this.problemsTarget.append(line);
  }

  enqueue(file) {
    const ariaLabel = this.addingValue.replace("{name}", file.name);
    const place = document.createElement("li");
    place.append(Object.assign(document.createElement("progress"), { className: "linear", ariaLabel }));
    this.listTarget.append(place);
    this.waiting += 1;
    this.queue = this.queue.then(() => this.upload(file, place)).then(() => this.done());
  }

  async upload(file, place) {
    const answer = await this.post(this.urlValue, { file, endpoint: this.endpoint, box: this.boxValue }).catch(() => null);
    const html = [201, 422].includes(answer?.status) ? await answer.text().catch(() => "") : "";
    if (html && answer.status === 201) {
      await window.htmx.swap({ text: html, sourceElement: place, target: place, swap: "outerHTML" });
    } else {
      place.remove();
      const target = this.problemsTarget;
      if (html) await window.htmx.swap({ text: html, sourceElement: target, target, swap: "beforeend" });
      else this.complain(this.failedValue, file);
    }
  }

  post(url, values) {
    const body = new FormData();
    for (const [name, value] of Object.entries(values)) body.append(name, value);
    body.append("csrfmiddlewaretoken", this.form.elements.csrfmiddlewaretoken.value);
    return fetch(url, { method: "POST", body });
  }

  done() {
    this.waiting -= 1;
    if (this.waiting || !this.held) return;
    this.held = false;
    if (!this.problemsTarget.childElementCount) this.form.requestSubmit();
  }

  hold(event) {
    if (event.target !== this.form || !this.waiting) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    this.held = true;
  }

  remove({ currentTarget, params }) {
    currentTarget.closest("li").remove();
    this.inputTarget.focus();
    this.post(params.url, {}).catch(() => null);
  }

  sent({ target, detail }) {
    if (target !== this.form || !(detail.ctx.response?.status < 286)) return;
    this.listTarget.replaceChildren();
    this.problemsTarget.replaceChildren();
  }
}
