"""The dashboard and the rules that come with the project name what the console really tells, and leave nothing out."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from console.presenters.health import metrics_text
from console.web import measuring
from jobs import telemetry
from jobs.models import Heartbeat, ProcessReport
from jobs.vertex.sdk import counted

pytestmark = pytest.mark.django_db
ROOT = Path(__file__).parent.parent
DASHBOARD = json.loads((ROOT / "docs/watching/grafana.json").read_text())
RULES = yaml.safe_load((ROOT / "docs/watching/alerts.yml").read_text())["groups"][0]["rules"]
MONITORING = (ROOT / "docs/monitoring.md").read_text()
NAME = re.compile(r"\bgarden_\w+")
# A name, what stands behind it in braces, and of that each label with what it is compared with.
SELECTOR = re.compile(r"\b(garden_\w+)\{([^}]*)\}")
MATCHER = re.compile(r'(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"')
GROUPED = re.compile(r"\bby \(([\w, ]+)\)")
OF_PROMETHEUS = {"job", "le"}
OUTCOMES = {*counted.OUTCOMES.values(), counted.OK, counted.FAILED, counted.CUT}


@pytest.fixture
def told(settings: Any, redis_url: str, broker: Any) -> Iterator[dict[str, dict[str, set[str]]]]:  # noqa: F811
    """By the name of each sample its labels and their values, when there is one of everything."""
    settings.REDIS_URL = redis_url
    telemetry.shared.forget()
    now = timezone.now()
    for kind in ("web", "worker", "chat", "beat"):
        ProcessReport.objects.create(kind=kind, host="h", pid=1, version="1", since=now, seen_at=now)
    for name in ("worker", "beat"):
        Heartbeat.objects.create(name=name, seen_at=now)
    measuring.count("tuning-list", "GET", 500)
    telemetry.REQUEST_SECONDS.observe(0.1, "tuning-list")
    telemetry.FIRST_WORD_SECONDS.observe(0.1)
    telemetry.STREAMS.set(1)
    for outcome in OUTCOMES:
        telemetry.CALLS.count("chat.stream", outcome)
    found: dict[str, dict[str, set[str]]] = {}
    for family in text_string_to_metric_families(metrics_text.write("", now)[0].decode()):
        for sample in family.samples:
            for label, value in sample.labels.items():
                found.setdefault(sample.name, {}).setdefault(label, set()).add(value)
            found.setdefault(sample.name, {})
    yield found
    telemetry.shared.forget()


def expressions() -> dict[str, str]:
    panels = {f"{panel['title']} {target['refId']}": target["expr"] for panel in DASHBOARD["panels"]
              for target in panel["targets"]}  # fmt: skip
    return panels | {rule["alert"]: rule["expr"] for rule in RULES}


def test_what_they_name_is_told(told: dict[str, dict[str, set[str]]]) -> None:
    named = {title: set(NAME.findall(text)) - set(told) for title, text in expressions().items()}
    assert {title: unknown for title, unknown in named.items() if unknown} == {}


def test_each_figure_has_a_panel(told: dict[str, dict[str, set[str]]]) -> None:
    shown = {
        name for panel in DASHBOARD["panels"] for target in panel["targets"] for name in NAME.findall(target["expr"])
    }
    assert set(told) - shown == set()


def test_each_figure_is_documented(told: dict[str, dict[str, set[str]]]) -> None:
    families = {re.sub(r"_(bucket|count|sum)$", "", name) for name in told}
    assert sorted(name for name in families if f"`{name}`" not in MONITORING) == []


def test_their_labels_and_values_are_told(told: dict[str, dict[str, set[str]]]) -> None:
    """A rule about a state or an outcome that is spelled wrong would never fire."""
    wrong = []
    for title, text in expressions().items():
        for name, braces in SELECTOR.findall(text):
            for label, _how, values in MATCHER.findall(braces):
                if label not in OF_PROMETHEUS and not set(values.split("|")) <= told[name].get(label, set()):
                    wrong.append((title, name, label, values))
    assert wrong == []


def test_what_they_group_by_is_a_label(told: dict[str, dict[str, set[str]]]) -> None:
    labels = {label for found in told.values() for label in found}
    grouped = {label.strip() for text in expressions().values() for part in GROUPED.findall(text)
               for label in part.split(",")}  # fmt: skip
    assert (grouped - labels - OF_PROMETHEUS, {"le", "status", "route"} <= grouped) == (set(), True)


def test_a_rule_says_what_is_wrong() -> None:
    assert [rule["alert"] for rule in RULES if not rule["annotations"]["summary"]] == []
    assert len({rule["alert"] for rule in RULES}) == len(RULES)


def test_panels_have_places_of_their_own() -> None:
    taken = [
        (x, y)
        for panel in DASHBOARD["panels"]
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert (len(taken), max(x for x, _ in taken)) == (len(set(taken)), 23)
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
