import { Controller } from "../vendor/stimulus-3.2.2/stimulus.js";

// Keeps the end of a log in view while it grows. Scrolling up stops that, and new lines are then announced by a button;
// scrolling back to the end starts it again.
export default class extends Controller {
  static targets = ["log", "follow", "jump"];

  connect() {
    this.observer = new MutationObserver(() => this.grew());
    this.observer.observe(this.logTarget, { childList: true, characterData: true, subtree: true });
    this.toEnd();
  }

  disconnect() {
    this.observer.disconnect();
  }

  toggle() {
    if (this.followTarget.checked) this.toEnd();
  }

  toEnd() {
    this.followTarget.checked = true;
    this.jumpTarget.hidden = true;
    this.logTarget.scrollTop = this.logTarget.scrollHeight;
  }

  grew() {
    if (this.followTarget.checked) this.toEnd();
    else this.jumpTarget.hidden = false;
  }

  scrolled() {
    const log = this.logTarget;
    const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 24;
    this.followTarget.checked = atEnd;
    if (atEnd) this.jumpTarget.hidden = true;
  }
}
