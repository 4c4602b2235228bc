import { Controller } from "../vendor/stimulus-3.2.2/stimulus.js";

// Counts on from the seconds that the server wrote.
export default class extends Controller {
  connect() {
    const start = performance.now() - 1000 * Number(this.element.textContent);
    this.timer = setInterval(() => {
      this.element.textContent = Math.floor((performance.now() - start) / 1000);
    }, 1000);
  }

  disconnect() {
    clearInterval(this.timer);
  }
}
