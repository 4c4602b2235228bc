"""What may be typed for an import. Whether there is such a model, the local Vertex AI finds out."""

import re

from jobs.text.deferred import gettext as _

LONGEST_SOURCE, LONGEST_REVISION, LONGEST_TOKEN = 500, 200, 300
_REPOSITORY = re.compile(r"\w[\w.-]*/\w[\w.-]*", re.ASCII)


def why_not_source(source: str) -> str:
    """A sentence, or nothing."""
    if source.startswith(("/", "https://", "http://")) or _REPOSITORY.fullmatch(source):
        return ""
    return _(
        "Enter organization/model, such as Qwen/Qwen3-0.6B, the address of the model's page on Hugging Face, or the"
        " path of a folder or a GGUF file on the server, which begins with /."
    )


def why_not_token(token: str) -> str:
    if not re.search(r"[^\x21-\x7e]", token):
        return ""
    return _("A token has no spaces and only ASCII characters. Copy it again from Hugging Face.")
