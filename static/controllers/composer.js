import { Controller } from "../vendor/stimulus-3.2.2/stimulus.js";

const SENT = "draft-sent";
const KEEP_MS = 700;
const KEPT = 204;
const SENT_ALREADY = 205;

// Enter sends if that is wanted, Shift+Enter makes a line, Ctrl or Cmd+Enter always sends; never while an input method composes.
// While an answer is written, the message waits for its end; it is not sent after one that failed, or once it is changed.
// Escape takes that back, stops the answer or leaves the edit; where there is none of these, it leaves the box.
// A draft is kept with the conversation, and in this browser until the server has it: it outlives tab, network and device.
// It is dropped once the message was accepted (286: the session is over). Signing out drops what is here. An edit has none.
export default class extends Controller {
  static targets = ["input", "send", "queue"];
  static values = { draft: String, url: String };

  connect() {
    // A form that was sent without htmx was accepted if it led to another page.
    const left = sessionStorage.getItem(SENT);
    sessionStorage.removeItem(SENT);
    if (left && left !== this.draftValue) this.forget(left);
    const kept = this.draftValue ? localStorage.getItem(this.draftValue) : null;
    const key = localStorage.getItem(this.keyPlace);
    if (kept !== null && (this.urlValue || !this.inputTarget.value)) this.inputTarget.value = kept;
    if (!this.draftValue) this.inputTarget.setSelectionRange(-1, -1);
    if (kept !== null && key && this.urlValue) this.restore(kept, key);
    else this.changed();
  }

  disconnect() {
    if (!this.draftValue && document.activeElement === document.body) document.getElementById("id_text")?.focus();
  }

  key(event) {
    if (event.isComposing || event.keyCode === 229) return;
    const makesLine = !event.ctrlKey && !event.metaKey && (event.shiftKey || document.documentElement.dataset.enter === "line");
    if (event.key === "Enter" && !makesLine) this.send(event);
    else if (event.key === "ArrowUp" && this.draftValue && !this.inputTarget.value) this.editLast(event);
    else if (event.key === "Escape") this.leave();
  }

  leave() {
    if (this.queued) return void (this.queued = false);
    const way = this.element.querySelector("[form=stop-form], [data-cancel]");
    if (way) way.click();
    else this.inputTarget.blur();
  }

  send(event) {
    event.preventDefault();
    const holds = this.inputTarget.value.trim() || this.element.querySelector(".attached > li") || !this.draftValue;
    if (!holds || this.busy) return;
    if (this.hasQueueTarget && !this.hasSendTarget) this.queued = true;
    else this.element.requestSubmit();
  }

  get queued() { return this.hasQueueTarget && this.queueTarget.textContent !== ""; }
  set queued(waits) { if (this.hasQueueTarget) this.queueTarget.textContent = waits ? this.queueTarget.dataset.words : ""; }

  // The button may be there before the answer shows how it ended.
  sendTargetConnected() {
    const isUnfinished = this.queued && document.querySelector(".turn.model[aria-busy]");
    if (isUnfinished) return void setTimeout(() => this.sendTargetConnected(), 200);
    const goesOn = this.queued && !document.querySelector(".turn.model:last-child .note");
    this.queued = false;
    if (goesOn) this.element.requestSubmit();
  }

  editLast(event) {
    event.preventDefault();
    [...document.querySelectorAll("[data-edit-last]")].at(-1)?.click();
  }

  changed(event) {
    if (event) this.queued = false;
    if (!this.draftValue) return;
    clearTimeout(this.timer);
    const { value, defaultValue } = this.inputTarget;
    if (value === defaultValue) return void this.forget();
    localStorage.setItem(this.draftValue, value);
    if (!this.urlValue) return;
    // The key is that of the message which is typed now: once it is accepted, the form has that of the next.
    const key = this.element.elements.key.value;
    localStorage.setItem(this.keyPlace, key);
    this.timer = setTimeout(() => this.keep(value, key), KEEP_MS);
  }

  get keyPlace() { return `${this.draftValue}-key`; }

  forget(draft = this.draftValue) { for (const place of [draft, `${draft}-key`]) localStorage.removeItem(place); }

  // It is a message already where the page was left before the answer to it came.
  async restore(text, key) {
    const status = await this.post(text, key);
    if (status === SENT_ALREADY && this.inputTarget.value === text) this.inputTarget.value = this.inputTarget.defaultValue;
    else if (status === KEPT) this.inputTarget.defaultValue = text;
    this.changed();
  }

  // What is being kept while the message goes is no draft any more; while the page goes, the next may be without it.
  renew() {
    clearTimeout(this.timer);
    this.round = {};
  }

  async keep(text, key) {
    const { round } = this;
    if (await this.post(text, key) !== KEPT || round !== this.round) return;
    this.inputTarget.defaultValue = text;
    this.changed();
  }

  async post(text, key) {
    const body = new URLSearchParams({ text, key, csrfmiddlewaretoken: this.element.elements.csrfmiddlewaretoken.value });
    const answer = await fetch(this.urlValue, { method: "POST", body }).catch(() => null);
    return answer?.status;
  }

  leaving() { sessionStorage.setItem(SENT, this.draftValue); }

  suggest({ params }) {
    this.inputTarget.value = params.text;
    this.changed();
    this.inputTarget.focus();
    if (params.picture) this.dispatch("picture", { target: window, detail: params.picture });
  }

  sending({ target }) { this.busy ||= target === this.element; }

  sent({ target, detail }) {
    if (target !== this.element) return;
    this.busy = false;
    if (!(detail.ctx.response?.status < 286)) return;
    this.renew();
    this.inputTarget.value = this.inputTarget.defaultValue = "";
    this.inputTarget.dispatchEvent(new Event("input", { bubbles: true }));
    this.inputTarget.focus();
  }
}
