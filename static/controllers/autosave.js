import { Controller } from "../vendor/stimulus-3.2.2/stimulus.js";

const KEEP_MS = 800;
const LONGEST_WAIT_MS = 30_000;
const KEEPALIVE_CHARACTERS = 60_000;

// Keeps what is typed a moment after the last key, one request at a time, and tries again until it arrives. The answer
// is the part of the page that says how it stands. Once the step itself is sent, nothing goes, and what is under way is
// given up. Asks before a page is left whose input could not be kept, or with a file that was chosen and not sent.
export default class extends Controller {
  static targets = ["place", "told"];
  static values = { url: String, lost: String, left: String, gone: String };

  connect() { this.wait = KEEP_MS; }

  disconnect() { clearTimeout(this.timer); }

  typed({ type, target }) {
    if (target.form !== this.element || target.type === "file") return;
    this.correct(`id_${target.name}`);
    this.unsaved = {};
    this.later(type === "change" ? 0 : KEEP_MS);
  }

  // What is changed is no longer called wrong: the step judges it again when it is sent.
  correct(id) {
    const [field, told, hint] = ["", "_error", "_helptext"].map((end) => document.getElementById(id + end));
    if (!told) return;
    told.closest(".err").remove();
    field?.removeAttribute("aria-invalid");
    hint?.classList.remove("sr");
    const box = this.element.querySelector(".errors");
    for (const link of this.element.querySelectorAll(`.errors a[href="#${id}"]`)) link.parentElement.remove();
    if (!box?.querySelector("li")) box?.remove();
    else box.firstElementChild.textContent = box.dataset.rest;
  }

  later(pause) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.keep(), pause);
  }

  again() { if (this.unsaved && this.failed) this.later(0); }

  async keep() {
    if (this.busy || this.gone) return;
    const typed = this.unsaved;
    this.busy = true;
    this.placeTarget.dataset.busy = "";
    const answer = await this.post();
    const html = answer && [200, 409].includes(answer.status) ? await answer.text().catch(() => "") : "";
    this.busy = false;
    delete this.placeTarget.dataset.busy;
    if (this.gone) return;
    if (html) await this.show(html);
    else this.explain(answer);
    this.failed = !html;
    this.wait = html ? KEEP_MS : Math.min(this.wait * 2, LONGEST_WAIT_MS);
    if (html && typed === this.unsaved) this.unsaved = null;
    else if (!this.gone) this.later(this.wait);
  }

  async post(isRepeated) {
    const { token } = this;
    const fields = [...new FormData(this.element)].filter(([, value]) => typeof value === "string");
    const body = new URLSearchParams(fields);
    const { signal } = this.underWay = new AbortController();
    const asked = { method: "POST", body, redirect: "manual", signal, keepalive: `${body}`.length < KEEPALIVE_CHARACTERS };
    const answer = await fetch(this.urlValue, asked).catch(() => null);
    if (answer?.status !== 403 || isRepeated) return answer;
    // Somebody signed out, or in again elsewhere, which made another token.
    const page = await fetch(location.href, { redirect: "manual" }).catch(() => null);
    if (page?.type === "opaqueredirect") return page;
    token.value = (await page?.text().catch(() => ""))?.match(/name="csrfmiddlewaretoken" value="([^"]+)"/)?.[1] ?? token.value;
    return this.post(true);
  }

  get token() { return this.element.elements.csrfmiddlewaretoken; }

  async show(text) {
    const isNews = this.placeTarget.querySelectorAll(".note").length < text.split('class="note').length - 1;
    await window.htmx.swap({ text, sourceElement: this.placeTarget, target: this.placeTarget, swap: "outerMorph" });
    if (isNews) this.placeTarget.scrollIntoView({ block: "nearest" });
  }

  explain(answer) {
    const isGone = answer?.status === 404;
    if (isGone) this.gone = true;
    const text = isGone ? this.goneValue : answer?.type === "opaqueredirect" ? this.leftValue : this.lostValue;
    if (this.toldTarget.textContent !== text) this.toldTarget.textContent = text;
  }

  choose({ target, params: { value } }) {
    const note = target.closest(".note");
    const control = this.element.elements[note.querySelector("[name=undecided]").value];
    note.remove();
    if (value !== undefined) this.take(control, value);
    (control instanceof RadioNodeList ? [...control].find((one) => one.checked) : control)?.focus();
    this.unsaved = {};
    this.later(0);
  }

  take(control, value) {
    if (control?.type === "checkbox") control.checked = value;
    else if (control) control.value = value;
    control?.dispatchEvent?.(new Event("change", { bubbles: true }));
  }

  sending({ target }) {
    if (target !== this.element) return;
    clearTimeout(this.timer);
    this.underWay?.abort();
    this.gone = true;
  }

  sent({ target, detail }) {
    if (target !== this.element || detail.ctx.response?.status < 400) return;
    this.gone = false;
    if (this.unsaved) this.later(this.wait);
  }

  leave() { if (this.unsaved && !this.gone) this.post(true); }

  guard(event) {
    const files = [...this.element.querySelectorAll("input[type=file]")].some((input) => input.files.length);
    if (!this.gone && (files || (this.unsaved && this.failed))) event.preventDefault();
  }
}
