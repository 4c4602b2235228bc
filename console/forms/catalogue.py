"""What is asked of the catalogue in an address: `?q=gemma&provider=google&feature=tune`."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol
from urllib.parse import urlencode

from django.http import QueryDict
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

LONGEST_QUERY = 200
LONGEST_VALUE = 80
MAX_VALUES = 30
PROVIDERS = {"google": "Google", "meta": "Meta", "openai": "OpenAI", "qwen": "Qwen", "mistralai": "Mistral AI"}
PROVIDERS |= {"deepseek-ai": "DeepSeek", "zai-org": "Z.ai", "microsoft": "Microsoft", "nvidia": "NVIDIA"}
PROVIDERS |= {"huggingfacetb": "Hugging Face", "samples": "Garden Console"}

Words = Mapping[str, str | Promise]
COLLECTIONS: Words = {"google": _("Made by Google"), "partners": _("Other open models"), "local": _("Your own models")}
TASKS: Words = {
    "chat": _("Chat"), "completion": _("Text completion"), "vision": _("Image understanding"),
    "image-generation": _("Image generation"), "embedding": _("Embeddings"), "other": _("Other tasks"),
}  # fmt: skip
MODALITIES: Words = {"text": _("Text"), "image": _("Image"), "audio": _("Audio"), "video": _("Video")}
FEATURES: Words = {"tune": _("Fine-tunable"), "deploy": _("One-click deployment")}
GROUPS: Mapping[str, tuple[str | Promise, Words]] = {
    "collection": (_("Model collections"), COLLECTIONS),
    "task": (_("Tasks"), TASKS),
    "modality": (_("Modality"), MODALITIES),
    "provider": (_("Providers"), PROVIDERS),
    "feature": (_("Features"), FEATURES),
}
# A model must have each of the chosen features; of the other groups one value is enough.
ALL_OF = "feature"


class Entry(Protocol):
    """A model in the list; `values` by group."""

    @property
    def search_text(self) -> str: ...

    @property
    def values(self) -> Mapping[str, frozenset[str]]: ...


@dataclass(frozen=True)
class Facet:
    """One value to filter by; `count` is how many models the list would have with it."""

    label: str | Promise
    value: str
    is_on: bool
    count: int


@dataclass(frozen=True)
class FacetGroup:
    name: str
    title: str | Promise
    facets: Sequence[Facet]


@dataclass(frozen=True)
class Chip:
    """A filter that is on, and the rest of the address without it."""

    group: str | Promise
    label: str | Promise
    query: str


def label_of(group: str, value: str) -> str | Promise:
    return GROUPS[group][1].get(value, value)


@dataclass(frozen=True)
class CatalogueFilter:
    q: str
    chosen: Mapping[str, frozenset[str]]

    @classmethod
    def parse(cls, query: QueryDict) -> "CatalogueFilter":
        def values(group: str) -> frozenset[str]:
            return frozenset(value[:LONGEST_VALUE] for value in query.getlist(group)[:MAX_VALUES] if value)

        q = query.get("q", "").replace("\x00", "").strip()[:LONGEST_QUERY]
        return cls(q=q, chosen={group: values(group) for group in GROUPS})

    def __bool__(self) -> bool:
        return bool(self.q or self.count)

    @property
    def count(self) -> int:
        return sum(map(len, self.chosen.values()))

    @property
    def words(self) -> list[str]:
        return self.q.casefold().split()

    def having(self, group: str, values: frozenset[str]) -> "CatalogueFilter":
        return replace(self, chosen={**self.chosen, group: values})

    def matches(self, entry: Entry) -> bool:
        return all(word in entry.search_text for word in self.words) and all(
            self._takes(group, entry.values.get(group, frozenset())) for group in GROUPS
        )

    def _takes(self, group: str, values: frozenset[str]) -> bool:
        wanted = self.chosen[group]
        return wanted <= values if group == ALL_OF else not wanted or bool(wanted & values)

    @property
    def query(self) -> str:
        """As in an address, `?` included; empty when nothing is asked."""
        pairs = [("q", self.q)] if self.q else []
        pairs += [(group, value) for group, values in self.chosen.items() for value in sorted(values)]
        return f"?{urlencode(pairs)}" if pairs else ""

    @property
    def query_without_words(self) -> str:
        return replace(self, q="").query

    @property
    def query_without_filters(self) -> str:
        return replace(self, chosen=dict.fromkeys(GROUPS, frozenset())).query

    @property
    def chips(self) -> list[Chip]:
        return [
            Chip(GROUPS[group][0], label_of(group, value), self.having(group, values - {value}).query)
            for group, values in self.chosen.items()
            for value in sorted(values)
        ]


def facet_groups(chosen: CatalogueFilter, entries: Iterable[Entry]) -> list[FacetGroup]:
    """Counts shrink with the words and the other groups; the values of one group are alternatives, features are not."""
    rows = list(entries)
    groups = [FacetGroup(name, title, _facets(chosen, name, rows)) for name, (title, _labels) in GROUPS.items()]
    return [group for group in groups if group.facets]


def _facets(chosen: CatalogueFilter, group: str, rows: Sequence[Entry]) -> list[Facet]:
    on = chosen.chosen[group]
    within = chosen if group == ALL_OF else chosen.having(group, frozenset())
    matching = [entry.values.get(group, frozenset()) for entry in rows if within.matches(entry)]
    there: frozenset[str] = frozenset().union(*(entry.values.get(group, frozenset()) for entry in rows))
    known = [value for value in GROUPS[group][1] if value in there | on]
    ordered = [*known, *sorted((there | on).difference(known))]
    return [
        Facet(label_of(group, value), value, value in on, sum(value in values for values in matching))
        for value in ordered
    ]
