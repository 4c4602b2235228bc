import { Controller } from "../vendor/stimulus-3.2.2/stimulus.js";

const STAY_MS = 6000;

export default class extends Controller {
  static targets = ["item", "template"];
  static values = { failed: String, unreachable: String };

  show({ detail }) {
    if (!detail?.text) return;
    const item = this.templateTarget.content.firstElementChild.cloneNode(true);
    item.querySelector("span").textContent = detail.text;
    const link = item.querySelector("a");
    if (detail.url?.startsWith("/")) {
      link.href = detail.url;
      link.textContent = detail.label;
      link.hidden = false;
    }
    this.element.append(item);
  }

  failed({ detail }) {
    // What the console refuses for a while it says in the banner.
    if (detail.ctx.hx?.retarget) return;
    if (detail.ctx.response.status >= 500 && isAsked(detail.ctx)) this.show({ detail: { text: this.failedValue } });
  }

  unreachable({ detail }) {
    if (detail.ctx && isAsked(detail.ctx)) this.show({ detail: { text: this.unreachableValue } });
  }

  itemTargetConnected(item) {
    const leave = () => {
      if (item.matches(":hover, :focus-within")) item.timer = setTimeout(leave, 1000);
      else item.remove();
    };
    item.timer = setTimeout(leave, STAY_MS);
  }

  itemTargetDisconnected(item) {
    clearTimeout(item.timer);
  }

  dismiss(event) {
    event.currentTarget.closest(".snack").remove();
  }
}

// What a page fetches by itself fails silently: it will try again, and nobody asked for it.
export function isAsked({ request, sourceEvent }) {
  return request.method !== "GET" || sourceEvent?.isTrusted;
}
