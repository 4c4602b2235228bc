import { Controller } from "../vendor/stimulus-3.2.2/stimulus.js";

// Marks the link of the section that is being read: the last one that has reached the bar.
export default class extends Controller {
  static targets = ["link"];

  connect() {
    this.watch = () => { this.frame ??= requestAnimationFrame(() => this.mark()); };
    addEventListener("scroll", this.watch, { passive: true });
    this.mark();
  }

  disconnect() {
    removeEventListener("scroll", this.watch);
    cancelAnimationFrame(this.frame);
  }

  mark() {
    this.frame = null;
    const line = this.element.getBoundingClientRect().bottom + 24;
    const atEnd = scrollY > 0 && innerHeight + scrollY >= document.documentElement.scrollHeight - 2;
    const reached = this.linkTargets.filter((link) => document.querySelector(link.hash)?.getBoundingClientRect().top <= line);
    const current = atEnd ? this.linkTargets.at(-1) : reached.at(-1) ?? this.linkTargets[0];
    for (const link of this.linkTargets) {
      if (link === current) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    }
  }
}
