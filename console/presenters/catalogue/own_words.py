"""What the local Vertex AI says of the models of its catalogue, in the reader's language. Google's words stay as they
are."""

from django.utils.translation import gettext, gettext_noop

SUMMARIES = frozenset({
    gettext_noop(
        "A small model that follows instructions in English. You can chat with it and fine-tune it on this computer."
    ),
    gettext_noop(
        "A tiny model that sees, made for this demo. It knows circles, squares, triangles and stars in eight colours,"
        " and nothing else."
    ),
    gettext_noop("Gemma 3 for medical text and images."),
    gettext_noop("Instruction-tuned, reads images."),
    gettext_noop("Instruction-tuned, text only."),
    gettext_noop("Model by Qwen, reads images."),
    gettext_noop("Open-weight text model by OpenAI."),
    gettext_noop("Text model by Meta, pretrained."),
    gettext_noop("Text model by Meta."),
    gettext_noop("Text model by Qwen."),
    gettext_noop("Text model by Z.ai."),
    gettext_noop("The largest Gemma 3, instruction-tuned, reads images."),
    gettext_noop("The smallest Gemma 3, pretrained: made to be fine-tuned for one task. Runs on this machine."),
})  # fmt: skip


def translated(text: str) -> str:
    return gettext(text) if text in SUMMARIES else text
