// What htmx may do with attributes and answers, should somebody's text ever get among them.

const EMPTY_SCRIPT = /<script\b[^>]*>\s*<\/script>/gi;
const ACTS = { submit: "form", change: "form, form input, form select", click: "form button" };

// No text is evaluated: a filter of a trigger lets nothing through, and what an attribute says is not done.
function Refused() {
  return () => false;
}

// Scripts of ours are all files, and on a page already; none comes with an answer.
const rules = {
  createHTML: (html) => html.replace(EMPTY_SCRIPT, ""),
  createScript: () => {
    throw new Error("The console runs no script that came with an answer.");
  },
};

window.htmx.registerExtension("guard", {
  init: ({ initSecurity }) => initSecurity(window.trustedTypes?.createPolicy("htmx", rules) ?? rules, Refused, Refused),
});

// Only a form that is sent or changed, or its button, asks for a change, and with the token that is the form's own: no
// element does by being there, or by what happens elsewhere. A field may be called `closest` and stand in the place of the form's method.
const { closest, matches, querySelectorAll } = Element.prototype;
const { contains } = Node.prototype;
const TOKEN = "csrfmiddlewaretoken";

function mayAsk({ request, sourceElement, sourceEvent }) {
  if (closest.call(sourceElement, "[hx-ignore]")) return false;
  if (request.method === "GET") return true;
  const who = Object.hasOwn(ACTS, sourceEvent?.type) && ACTS[sourceEvent.type];
  if (!who || !matches.call(sourceElement, who)) return false;
  const { target } = sourceEvent;
  if (!contains.call(sourceElement, target) && target.form !== sourceElement) return false;
  const own = [...querySelectorAll.call(closest.call(sourceElement, "form"), `[name=${TOKEN}]`)];
  const sent = request.body.getAll(TOKEN);
  return own.length === 1 && sent.length === 1 && own[0].value === sent[0];
}

document.addEventListener("htmx:before:request", (event) => {
  let may = false;
  try {
    may = mayAsk(event.detail.ctx);
  } finally {
    if (!may) event.preventDefault();
  }
});
