"""What is asked of the catalogue in an address: `?q=gemma&provider=google&feature=tune`."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from django.http import QueryDict
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from jobs.models import PublisherModel

FEATURES: dict[str, str | Promise] = {"tune": _("Can be fine-tuned"), "deploy": _("Can be deployed")}
LONGEST_QUERY = 200
PROVIDERS = {"google": "Google", "meta": "Meta", "openai": "OpenAI", "qwen": "Qwen", "mistralai": "Mistral AI"}


@dataclass(frozen=True)
class CatalogueFilter:
    q: str = ""
    providers: frozenset[str] = frozenset()
    features: frozenset[str] = frozenset()

    @classmethod
    def parse(cls, query: QueryDict) -> "CatalogueFilter":
        return cls(
            q=query.get("q", "").strip()[:LONGEST_QUERY],
            providers=frozenset(filter(None, query.getlist("provider"))),
            features=frozenset(query.getlist("feature")) & FEATURES.keys(),
        )

    def __bool__(self) -> bool:
        return bool(self.q or self.providers or self.features)

    @property
    def count(self) -> int:
        return len(self.providers) + len(self.features)

    def matches(self, model: PublisherModel) -> bool:
        return self._matches_words(model) and self._matches_provider(model) and self._matches_features(model)

    def _matches_words(self, model: PublisherModel) -> bool:
        text = f"{model.name} {model.display_name} {model.data.get('overview', '')}".casefold()
        return all(word in text for word in self.q.casefold().split())

    def _matches_provider(self, model: PublisherModel) -> bool:
        return not self.providers or model.publisher in self.providers

    def _matches_features(self, model: PublisherModel) -> bool:
        return all(offers(model, feature) for feature in self.features)


@dataclass(frozen=True)
class Facet:
    """One value to filter by; `count` is how many models the list would have with it."""

    label: str | Promise
    value: str
    is_on: bool
    count: int


def offers(model: PublisherModel, feature: str) -> bool:
    return model.can_tune if feature == "tune" else model.can_deploy


def provider_facets(chosen: CatalogueFilter, models: Iterable[PublisherModel]) -> list[Facet]:
    """Counts shrink with the words and the features, not with the other providers: they are alternatives."""
    rows = list(models)
    within = replace(chosen, providers=frozenset())
    counts = dict.fromkeys(sorted({model.publisher for model in rows} | chosen.providers), 0)
    for model in rows:
        counts[model.publisher] += within.matches(model)
    return [Facet(PROVIDERS.get(name, name), name, name in chosen.providers, count) for name, count in counts.items()]


def feature_facets(chosen: CatalogueFilter, models: Iterable[PublisherModel]) -> list[Facet]:
    rows = list(models)
    return [
        Facet(
            label,
            name,
            name in chosen.features,
            sum(replace(chosen, features=chosen.features | {name}).matches(model) for model in rows),
        )
        for name, label in FEATURES.items()
    ]
