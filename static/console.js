import { Application } from "./vendor/stimulus-3.2.2/stimulus.js";
import Autoscroll from "./controllers/autoscroll.js";
import Autosize from "./controllers/autosize.js";
import Chart from "./controllers/chart.js";
import Clipboard from "./controllers/clipboard.js";
import Commands from "./controllers/commands.js";
import Composer from "./controllers/composer.js";
import Elapsed from "./controllers/elapsed.js";
import DirtyForm from "./controllers/dirty_form.js";
import Hotkeys from "./controllers/hotkeys.js";
import Live from "./controllers/live.js";
import LogFollow from "./controllers/log_follow.js";
import Panel from "./controllers/panel.js";
import Modal from "./controllers/modal.js";
import RelativeTime from "./controllers/relative_time.js";
import Scrollspy from "./controllers/scrollspy.js";
import SliderPair from "./controllers/slider_pair.js";
import Snackbar from "./controllers/snackbar.js";
import Theme from "./controllers/theme.js";
import Upload from "./controllers/upload.js";

const application = Application.start();
for (const [name, controller] of Object.entries({
  autoscroll: Autoscroll, autosize: Autosize, chart: Chart, clipboard: Clipboard,
  commands: Commands, composer: Composer, "dirty-form": DirtyForm, elapsed: Elapsed, hotkeys: Hotkeys, live: Live,
  "log-follow": LogFollow, modal: Modal, panel: Panel, "relative-time": RelativeTime, scrollspy: Scrollspy,
  "slider-pair": SliderPair,
  snackbar: Snackbar, theme: Theme, upload: Upload,
})) {
  application.register(name, controller);
}

// A refusal is shown in the banner of the page: it must not hide behind an open dialog.
document.addEventListener("htmx:before:swap", ({ detail }) => {
  const target = detail.tasks?.find((task) => task.type === "main")?.target;
  const banner = document.getElementById("banner");
  if (!banner || (target !== banner && target !== "#banner")) return;
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

// A dialog whose form was accepted has done its work. Its button may be gone or disabled by then: the heading takes the focus.
document.addEventListener("htmx:after:request", ({ target, detail }) => {
  const accepted = detail.ctx.response.status < 400 && detail.ctx.request.method !== "GET";
  const dialog = accepted && target instanceof Element && target.closest("dialog[open]");
  if (!dialog) return;
  dialog.close();
  document.querySelector("main h1")?.focus();
});
