"""What a person takes away of a job: what there is, what is ready, and the lines that run it."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from django.utils.translation import gettext as _

from jobs.models import Takeaway, TakeawayForm, TuningJob
from jobs.services.tuned_models.choices import Choice

HUGGING_FACE_NAME = re.compile(r"[a-zA-Z0-9][\w.-]*/[a-zA-Z0-9][\w.-]*", re.ASCII)


@dataclass(frozen=True)
class Offer:
    """`row` None: nobody asked for it yet. `number`: its place on the page, from 1."""

    choice: Choice
    row: Takeaway | None
    number: int

    @property
    def key(self) -> str:
        return f"{self.choice.form} {self.choice.folder}"

    @property
    def anchor(self) -> str:
        """Of its part of the page."""
        return f"offer-{self.number}"

    @property
    def percent(self) -> int:
        if self.row is None or not self.row.total_bytes:
            return 0
        return min(100, self.row.done_bytes * 100 // self.row.total_bytes)

    @property
    def archive(self) -> str:
        return archive_name(self.row) if self.row else ""

    @property
    def lines(self) -> list[tuple[str, str]]:
        """(program, its lines)."""
        return run_lines(self.row) if self.row else []


@dataclass(frozen=True)
class Group:
    """All forms of one model: the final one, or that of a checkpoint, whose folder is called `anchor`."""

    title: str
    anchor: str
    offers: list[Offer]


def groups_of(job: TuningJob, offers: Iterable[Offer]) -> list[Group]:
    by_folder = groupby(offers, lambda offer: offer.choice.checkpoint)
    return [Group(_title(job, folder), folder, list(found)) for folder, found in by_folder]


def _title(job: TuningJob, folder: str) -> str:
    """A folder that the job does not tell of is called by its name."""
    if folder == "final":
        return _("Tuned model")
    words = {f"checkpoint-{one['step']}": one for one in job.checkpoints}.get(folder)
    return _("Checkpoint %(checkpoint_id)s, epoch %(epoch)s, step %(step)s") % words if words else folder


def offers_of(choices: Sequence[Choice], rows: Iterable[Takeaway]) -> list[Offer]:
    known = {(row.form, row.folder): row for row in rows}
    return [
        Offer(choice, known.get((str(choice.form), choice.folder)), number) for number, choice in enumerate(choices, 1)
    ]


def archive_name(row: Takeaway) -> str:
    return f"{folder_name(row)}.tar"


def folder_name(row: Takeaway) -> str:
    """Plain letters only: it stands in lines that people paste into a shell, and in a header, and neither the name of
    the job nor that of the folder in the bucket can be trusted with that."""
    folder = row.folder.removesuffix("/adapter").rpartition("/")[2]
    return f"{plain(row.job.display_name) or 'model'}-{plain(folder)}-{row.form}"


def plain(text: str) -> str:
    """Lowercase letters and digits of ASCII, with hyphens for all else."""
    words = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in text)
    return "-".join(filter(None, words.split("-"))).lower()[:60]


def run_lines(row: Takeaway) -> list[tuple[str, str]]:
    folder = folder_name(row)
    unpack = f"tar -xf {archive_name(row)}"
    if row.is_gguf:
        return [
            ("llama.cpp", f"{unpack}\nllama-server -m {folder}/model.gguf --port 8080"),
            ("Ollama", f"{unpack}\necho 'FROM ./{folder}/model.gguf' > Modelfile\nollama create {folder} -f Modelfile"),
        ]
    if row.form == TakeawayForm.ADAPTER:
        return adapter_lines(row, folder, unpack)
    load = f"from transformers import pipeline\nchat = pipeline('text-generation', '{folder}')"
    return [
        ("transformers", f"# {unpack}\n{load}\nprint(chat([{{'role': 'user', 'content': 'Hello'}}]))"),
        ("vLLM", f"{unpack}\nvllm serve ./{folder} --port 8000"),
        (
            "llama.cpp",
            f"{unpack}\npython convert_hf_to_gguf.py {folder} --outfile model.gguf\nllama-server -m model.gguf",
        ),
    ]


def adapter_lines(row: Takeaway, folder: str, unpack: str) -> list[tuple[str, str]]:
    """An adapter runs on the weights of its base model, by the name that Hugging Face has for it."""
    base = hugging_face_name(row.job.base_model)
    load = f"base = AutoModelForCausalLM.from_pretrained('{base}')\nmodel = PeftModel.from_pretrained(base, '{folder}')"
    found = [
        (
            "transformers",
            f"# {unpack}\nfrom peft import PeftModel\nfrom transformers import AutoModelForCausalLM\n{load}",
        ),
        ("vLLM", f"{unpack}\nvllm serve {base} --enable-lora --lora-modules mine=./{folder}"),
    ]
    if any(one["name"] == "adapter.gguf" for one in row.files):
        line = f"{unpack}\nllama-server -m BASE-MODEL.gguf --lora {folder}/adapter.gguf --port 8080"
        ollama = f"printf 'FROM BASE-MODEL\\nADAPTER ./{folder}/adapter.gguf\\n' > Modelfile"
        found += [("llama.cpp", line), ("Ollama", f"{unpack}\n{ollama}\nollama create mine -f Modelfile")]
    return found


def hugging_face_name(base_model: str) -> str:
    """As it may stand in a shell and in Python; a placeholder for a name that is none."""
    publisher, _slash, rest = base_model.partition("/")
    name = f"{publisher}/{rest.partition('@')[2]}"
    return name if HUGGING_FACE_NAME.fullmatch(name) else "BASE-MODEL"
