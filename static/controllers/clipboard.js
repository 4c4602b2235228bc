import { Controller } from "../vendor/stimulus-3.2.2/stimulus.js";

export default class extends Controller {
  static targets = ["source"];
  static values = { text: String, done: String };

  async copy() {
    const text = this.textValue || this.sourceTarget.value || this.sourceTarget.textContent;
    if (!(await written(text))) select(this.sourceTarget);
    else document.dispatchEvent(new CustomEvent("snackbar", { detail: { text: this.doneValue } }));
  }
}

// The clipboard needs a secure address; on plain http the text is selected instead, ready for the keyboard.
async function written(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}

function select(element) {
  if (element.select) element.select();
  else getSelection().selectAllChildren(element);
}
