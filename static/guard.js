// What htmx may do with attributes and answers, should somebody's text ever get among them.

const EMPTY_SCRIPT = /<script\b[^>]*>\s*<\/script>/gi;
const ACTS = ["submit", "change"];

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

// Only a form that is sent or changed asks for a change: no element does by being there, or by what happens elsewhere.
function mayAsk({ request, sourceElement, sourceEvent }) {
  if (sourceElement.closest("[hx-ignore]")) return false;
  if (request.method === "GET") return true;
  const cause = sourceEvent?.target;
  if (!ACTS.includes(sourceEvent?.type) || !sourceElement.matches("form, form input")) return false;
  return sourceElement.contains(cause) || cause.form === sourceElement;
}

document.addEventListener("htmx:before:request", (event) => {
  if (!mayAsk(event.detail.ctx)) event.preventDefault();
});
