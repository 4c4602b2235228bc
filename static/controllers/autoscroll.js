import { Controller } from "../vendor/stimulus-3.2.2/stimulus.js";

const NEAR = 120;

// Keeps the end of a growing page in view, but only for someone who is at the end; others get a button.
export default class extends Controller {
  static targets = ["jump", "content"];

  connect() {
    this.atEnd = true;
    this.onScroll = () => this.look();
    addEventListener("scroll", this.onScroll, { passive: true });
    this.observer = new ResizeObserver(() => this.grew());
    this.observer.observe(this.hasContentTarget ? this.contentTarget : this.element);
    if (!document.querySelector(":target")) this.toEnd();
    else this.look();
  }

  disconnect() {
    removeEventListener("scroll", this.onScroll);
    this.observer.disconnect();
  }

  look() {
    const page = document.scrollingElement;
    this.atEnd = page.scrollHeight - page.scrollTop - page.clientHeight < NEAR;
    if (this.hasJumpTarget) this.jumpTarget.hidden = this.atEnd;
  }

  grew() {
    if (this.atEnd) this.toEnd();
    else this.look();
  }

  toEnd() {
    document.scrollingElement.scrollTop = document.scrollingElement.scrollHeight;
    this.look();
  }
}
