import { Controller } from "../vendor/stimulus-3.2.2/stimulus.js";

const KEPT = 50;
export const CHOICE = "desktop-notifications";
export const SHOWN = "desktop-shown";

export const isOn = () => localStorage.getItem(CHOICE) === "on" && window.Notification?.permission === "granted";

// A notification that is new to this page, as one of the browser: once, however many tabs tell of it.
export default class extends Controller {
  static values = { title: String, body: String, url: String };

  connect() {
    if (!isOn()) return;
    if (navigator.locks) navigator.locks.request(SHOWN, () => this.show());
    else this.show();
  }

  show() {
    const shown = (localStorage.getItem(SHOWN) ?? "").split(" ");
    if (shown.includes(this.element.id)) return;
    localStorage.setItem(SHOWN, [...shown, this.element.id].slice(-KEPT).join(" "));
    try {
      const note = new Notification(this.titleValue, { body: this.bodyValue, tag: this.element.id });
      note.onclick = () => { window.focus(); location.assign(this.urlValue); note.close(); };
    } catch {
      // Some browsers of phones let only a service worker show one.
    }
  }
}
