"""The sections of a model's page: what the catalogue says, and where it says nothing, what is known from its facts."""

from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _, gettext_lazy

from jobs.text import markdown

from .model_families import Variant

GUIDES = {
    "gemma": (gettext_lazy("Gemma documentation"), "https://ai.google.dev/gemma/docs/core"),
    "tuning": (
        gettext_lazy("Tune an open model (Google Cloud)"),
        "https://docs.cloud.google.com/gemini-enterprise-agent-platform/models/tuning/open-model-tuning",
    ),
    "garden": (
        gettext_lazy("Use models in Model Garden (Google Cloud)"),
        "https://docs.cloud.google.com/gemini-enterprise-agent-platform/models/model-garden/use-models",
    ),
}


@dataclass(frozen=True)
class Sections:
    """`use_cases` and `documentation` are HTML of the catalogue's own words, empty when it has none."""

    use_cases: SafeString
    documentation: SafeString
    known_uses: list[tuple[str, str]]
    guides: list[tuple[str | Promise, str]]


def sections_of(variant: Variant) -> Sections:
    names = ["garden", *(["tuning"] if variant.facts else []), *(["gemma"] if is_gemma(variant) else [])]
    return Sections(
        use_cases=render_document(variant, "use cases"),
        documentation=render_document(variant, "documentation"),
        known_uses=list_uses(variant),
        guides=[GUIDES[name] for name in names],
    )


def render_document(variant: Variant, title: str) -> SafeString:
    found = variant.documents.get(title, "")
    return SafeString(markdown.render(found)) if found else SafeString("")


def is_gemma(variant: Variant) -> bool:
    return variant.model.publisher == "google" and "gemma" in variant.model.family


def list_uses(variant: Variant) -> list[tuple[str, str]]:
    words = {
        "chat": (_("Chat"), _("Answers questions and follows instructions, over several turns.")),
        "completion": (_("Text completion"), _("Continues a text. Tune it to teach it to answer.")),
        "vision": (_("Image understanding"), _("Describes images and answers questions about them.")),
        "image-generation": (_("Image generation"), _("Makes images from a description.")),
        "embedding": (_("Embeddings"), _("Turns texts into numbers by which similar texts are found.")),
        "other": (_("Other tasks"), _("Neither chats nor writes text.")),
    }
    found = [words[task] for task in variant.tasks]
    if variant.can_tune:
        found.append((_("Your own task"), _("Fine-tune it on examples of the output that you want.")))
    return found
