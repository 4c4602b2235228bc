import { Controller } from "../vendor/stimulus-3.2.2/stimulus.js";
import { CHOICE, isOn } from "./desktop.js";

// Whether this browser shows notifications: asked by a button only, and kept in this browser.
export default class extends Controller {
  static targets = ["words", "ask", "stop"];

  connect() { this.draw(); }

  async ask() {
    if ((await Notification.requestPermission()) === "granted") localStorage.setItem(CHOICE, "on");
    this.draw();
    this.stopTarget.focus();
  }

  stop() {
    localStorage.removeItem(CHOICE);
    this.draw();
    this.askTarget.focus();
  }

  draw() {
    const state = !window.Notification ? "none" : Notification.permission === "denied" ? "blocked" : isOn() ? "on" : "off";
    for (const text of this.wordsTarget.children) text.hidden = text.dataset.name !== state;
    this.askTarget.hidden = state !== "off";
    this.stopTarget.hidden = state !== "on";
  }
}
