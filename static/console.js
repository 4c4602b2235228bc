import "./guard.js";
import { Application } from "./vendor/stimulus-3.2.2/stimulus.js";
import Clipboard from "./controllers/clipboard.js";
import Hotkeys from "./controllers/hotkeys.js";
import Live from "./controllers/live.js";
import RelativeTime from "./controllers/relative_time.js";
import Snackbar, { isAsked } from "./controllers/snackbar.js";
import Theme from "./controllers/theme.js";

const application = Application.start();
for (const [name, controller] of Object.entries({
  clipboard: Clipboard, hotkeys: Hotkeys, live: Live, "relative-time": RelativeTime, snackbar: Snackbar, theme: Theme,
})) {
  application.register(name, controller);
}

// These come when a page uses them; one that names them in its head ({% scripts %}) has them before it is used.
// Their files are written out, so that files named by their content can be found.
const later = {
  autoscroll: () => import("./controllers/autoscroll.js"),
  autosave: () => import("./controllers/autosave.js"),
  autosize: () => import("./controllers/autosize.js"),
  chart: () => import("./controllers/chart.js"),
  charts: () => import("./controllers/charts.js"),
  commands: () => import("./controllers/commands.js"),
  composer: () => import("./controllers/composer.js"),
  desktop: () => import("./controllers/desktop.js"),
  "desktop-choice": () => import("./controllers/desktop_choice.js"),
  "dirty-form": () => import("./controllers/dirty_form.js"),
  elapsed: () => import("./controllers/elapsed.js"),
  "log-follow": () => import("./controllers/log_follow.js"),
  media: () => import("./controllers/media.js"),
  modal: () => import("./controllers/modal.js"),
  panel: () => import("./controllers/panel.js"),
  rows: () => import("./controllers/rows.js"),
  scrollspy: () => import("./controllers/scrollspy.js"),
  "slider-pair": () => import("./controllers/slider_pair.js"),
  upload: () => import("./controllers/upload.js"),
};

function load(element) {
  for (const name of (element.dataset.controller ?? "").split(" ")) {
    const wanted = later[name];
    delete later[name];
    wanted?.().then((module) => application.register(name, module.default));
  }
}

function loadAll(root) {
  for (const element of [root, ...root.querySelectorAll("[data-controller]")]) load(element);
}

loadAll(document.documentElement);
new MutationObserver((changes) => {
  for (const { target, addedNodes } of changes) {
    if (addedNodes.length === 0) load(target);
    for (const node of addedNodes) if (node instanceof Element) loadAll(node);
  }
}).observe(document.documentElement, { attributeFilter: ["data-controller"], childList: true, subtree: true });
if (!("command" in HTMLButtonElement.prototype)) import("./vendor/invokers-polyfill-1.0.3/invoker.min.js");

// What a person asked for and is refused is shown in the banner of the page: it must not hide behind an open dialog.
document.addEventListener("htmx:before:swap", ({ detail }) => {
  const target = detail.tasks?.find((task) => task.type === "main")?.target;
  const banner = document.getElementById("banner");
  if (!banner || (target !== banner && target !== "#banner") || !isAsked(detail.ctx)) return;
  for (const dialog of document.querySelectorAll("dialog[open]")) dialog.close();
  banner.scrollIntoView({ block: "nearest" });
});

// A dialog that was opened from a menu closes the menu: the focus goes back to the button of the menu.
let opener = null;
document.addEventListener("click", ({ target }) => { opener = target.closest("[command=show-modal]") ?? opener; }, true);
document.addEventListener("close", ({ target }) => {
  const menu = opener?.getAttribute("commandfor") === target.id && opener.closest("[popover]");
  const lost = document.activeElement === document.body || target.contains(document.activeElement);
  if (menu && lost) document.querySelector(`[popovertarget="${menu.id}"]`)?.focus();
  opener = null;
}, true);

// What lies over the page closes once the keyboard leaves it: the focus would go on behind it.
document.addEventListener("focusin", ({ target }) => {
  if (!target.matches(":focus-visible")) return;
  for (const open of document.querySelectorAll("[popover]:popover-open")) {
    if (open.popover === "auto" && !open.contains(target) && target.getAttribute("popovertarget") !== open.id) open.hidePopover();
  }
});

// A dialog whose form was accepted has done its work, unless the form says that it stays. Its button may be gone or disabled by then: the heading takes the focus.
document.addEventListener("htmx:after:request", ({ target, detail }) => {
  const accepted = detail.ctx.response.status < 400 && detail.ctx.request.method !== "GET";
  const dialog = accepted && target instanceof Element && !("stays" in target.dataset) && target.closest("dialog[open]");
  if (!dialog) return;
  dialog.close();
  document.querySelector("main h1")?.focus();
});

// The part of the page that a person's request will replace is busy until the answer is there.
document.addEventListener("htmx:before:request", ({ detail: { ctx } }) => {
  if (!isAsked(ctx) || !(ctx.target instanceof Element) || ctx.target.ariaBusy) return;
  ctx.busy = ctx.target;
  ctx.busy.ariaBusy = "true";
});
document.addEventListener("htmx:finally:request", ({ detail: { ctx } }) => ctx.busy?.removeAttribute("aria-busy"));

// What a request disables, and what its answer takes away or draws anew, loses the focus: it goes back there, or to what is left around it.
document.addEventListener("htmx:before:request", ({ detail: { ctx } }) => {
  ctx.focused = [];
  for (let one = document.activeElement; one && one !== document.body; one = one.parentElement) ctx.focused.push(one);
});
document.addEventListener("htmx:finally:request", ({ detail: { ctx } }) => setTimeout(() => {
  if (!ctx.focused?.length || document.activeElement !== document.body) return;
  const place = ctx.focused.map((one) => (one.isConnected ? one : one.id && document.getElementById(one.id))).find((one) => one && one.checkVisibility() && !one.disabled);
  if (place && !place.matches("a, button, input, select, textarea, summary, [tabindex]")) place.tabIndex = -1;
  place?.focus({ preventScroll: true });
}));

// An answer that has ended is not followed again when the page around it is drawn anew.
document.addEventListener("htmx:sse:close", ({ target, detail }) => {
  if (detail.reason === "message") target.removeAttribute("hx-sse:connect");
});
