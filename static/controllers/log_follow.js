import { Controller } from "../vendor/stimulus-3.2.2/stimulus.js";

// Keeps the end of a log in view while it grows; scrolling up stops that, scrolling back to the end starts it.
export default class extends Controller {
  static targets = ["log", "follow"];

  connect() {
    this.observer = new MutationObserver(() => this.grew());
    this.observer.observe(this.logTarget, { childList: true, characterData: true, subtree: true });
    this.grew();
  }

  disconnect() {
    this.observer.disconnect();
  }

  toggle() {
    this.grew();
  }

  grew() {
    if (this.followTarget.checked) this.logTarget.scrollTop = this.logTarget.scrollHeight;
  }

  scrolled() {
    const log = this.logTarget;
    this.followTarget.checked = log.scrollHeight - log.scrollTop - log.clientHeight < 24;
  }
}
