"""What an estimate says against what the trainer counts, over data sets of different shape."""

import base64
import io
import json
from datetime import timedelta
from pathlib import Path

import pytest
from PIL import Image

from jobs.localvertex.engine.dataset import load_examples
from jobs.localvertex.engine.tokens import ChatEncoder
from jobs.localvertex.engine.trial.counting import count_tokens
from jobs.models import PublisherModel
from jobs.services.costs import estimates
from jobs.services.costs.pace import find_pace
from jobs.services.datasets import policies as dataset_policies, token_counts
from jobs.vertex.errors import NO_TOOLS, Refused, Unavailable
from jobs.vertex.machine import Pace
from tests.support import factories
from tests.support.factories import BASE_MODEL, NOW
from tests.support.share import one_of

pytestmark = pytest.mark.django_db
FIXTURES = Path(__file__).parents[3] / "fixtures"
TINY = FIXTURES / "tiny-gemma3"
TINY_VISION = FIXTURES.parents[1] / "jobs/localvertex/models/shapes_and_colours"
MAX_LENGTH = 2048
CODE = "def add(first: int, second: int) -> int:\n    return first + second  # {number}\n"


@pytest.fixture(autouse=True)
def on_this_computer(settings):
    settings.VERTEX_API_ENDPOINT = "http://127.0.0.1:9"


def pair(question: str, answer: str) -> dict:
    return {"prompt": question, "completion": answer}


def chat(*turns: str, system: str = "") -> dict:
    opening = [{"role": "system", "content": system}] if system else []
    spoken = [{"role": ("user", "assistant")[n % 2], "content": text} for n, text in enumerate(turns)]
    return {"messages": opening + spoken}


def picture(number: int) -> dict:
    file = io.BytesIO()
    Image.new("RGB", (16, 16), (number % 250, 80, 80)).save(file, "PNG")
    url = "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
    parts = [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": "What is it?"}]
    return {"messages": [{"role": "user", "content": parts}, {"role": "assistant", "content": "A red square."}]}


def contents(number: int) -> dict:
    return {
        "systemInstruction": {"parts": [{"text": "Answer like a pirate."}]},
        "contents": [
            {"role": "user", "parts": [{"text": f"How many are {number} and one?"}]},
            {"role": "model", "parts": [{"text": f"Ahoy! {number + 1}, matey."}]},
        ],
    }


def mixed(number: int) -> dict:
    return [SHAPES[name](number) for name in ("short rows", "many turns", "Korean", "code", "contents")][number % 5]


SHAPES = {
    "short rows": lambda n: pair(f"What is {n} plus seven?", "Ahoy! Seven more, matey."),
    "long rows": lambda n: pair("The ship sails over the sea. " * (30 + n % 9), "It sails to the harbour. " * 40),
    "many turns": lambda n: chat(*(f"Turn {turn} of talk {n}" for turn in range(12))),
    "system instructions": lambda n: chat(f"Hello {n}", "Good day", system="You are a polite waiter. Be brief."),
    "Korean": lambda n: pair(f"{n}번째 배는 어디로 갑니까?", "바다를 건너 항구로 갑니다."),
    "code": lambda n: pair("Write a function that adds.", CODE.replace("{number}", str(n))),
    "one-word answers": lambda n: pair(f"Is {n} a number?", "Yes"),
    "contents": contents,
    "images": picture,
    "mixed": mixed,
}


def write_rows(shape: str) -> list[dict]:
    return [SHAPES[shape](number) for number in range(520)]


def count_as_server(rows) -> int:
    return count_tokens(TINY, [json.dumps(row) for row in rows], MAX_LENGTH)


def count_as_trainer(path: Path, folder: Path) -> int:
    return load_examples(path, ChatEncoder(folder), MAX_LENGTH, "training data").tokens


@pytest.mark.parametrize("shape", one_of(3, SHAPES))
def test_estimate_is_within_a_tenth_of_what_the_trainer_counts(shape, fake_gateway, tmp_path):
    """More rows than are counted one by one."""
    folder = TINY_VISION if shape == "images" else TINY
    fake_gateway.catalogue.counter = lambda rows: count_tokens(folder, [json.dumps(r) for r in rows], MAX_LENGTH)
    dataset = factories.dataset(rows=write_rows(shape))
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in write_rows(shape)))
    assert token_counts.ask(dataset, BASE_MODEL, NOW)
    token_counts.run(dataset.pk, BASE_MODEL, dataset.pk)
    dataset.refresh_from_db()
    estimate = estimates.of_data(dataset, 1, BASE_MODEL, "PEFT_ADAPTER")
    assert estimate.tokens == pytest.approx(count_as_trainer(tmp_path / "rows.jsonl", folder), rel=0.1)
    assert 0 < estimate.counted_rows <= token_counts.MOST_ROWS


def test_all_rows_of_a_small_file_are_counted(fake_gateway):
    rows = write_rows("many turns")[:40]
    fake_gateway.catalogue.counter = count_as_server
    dataset = factories.dataset(rows=rows)
    token_counts.ask(dataset, BASE_MODEL, NOW)
    token_counts.run(dataset.pk, BASE_MODEL, dataset.pk)
    dataset.refresh_from_db()
    assert estimates.tokens_of(dataset, BASE_MODEL) == (count_as_server(rows), 40)


def test_one_question_at_a_time_and_none_after_the_answer(fake_gateway):
    PublisherModel.objects.create(name=BASE_MODEL, fetched_at=NOW, data={})
    fake_gateway.catalogue.counter = count_as_server
    fake_gateway.catalogue.paces = {"PEFT_ADAPTER": Pace(3, 0.1, 0.001), "FULL": Pace(4, 0.2, 0.002)}
    dataset = factories.dataset(rows=write_rows("short rows")[:5])
    asked = [token_counts.ask(dataset, BASE_MODEL, NOW)]
    dataset.refresh_from_db()
    asked.append(token_counts.ask(dataset, BASE_MODEL, NOW + timedelta(seconds=3)))
    assert token_counts.is_pending(dataset, BASE_MODEL, NOW)
    token_counts.run(dataset.pk, BASE_MODEL, dataset.pk)
    dataset.refresh_from_db()
    asked.append(token_counts.ask(dataset, BASE_MODEL, NOW + timedelta(hours=1)))
    assert asked == [True, False, False]
    assert PublisherModel.objects.get().data["paces"] == {"PEFT_ADAPTER": [3, 0.1, 0.001], "FULL": [4, 0.2, 0.002]}


def test_the_first_pace_is_used_while_the_other_is_measured(fake_gateway):
    PublisherModel.objects.create(name=BASE_MODEL, fetched_at=NOW, data={})
    fake_gateway.catalogue.counter = count_as_server
    fake_gateway.catalogue.paces = {"PEFT_ADAPTER": Pace(3, 0.1, 0.001)}
    dataset = factories.dataset(rows=write_rows("short rows")[:5])
    token_counts.ask(dataset, BASE_MODEL, NOW)
    token_counts.run(dataset.pk, BASE_MODEL, dataset.pk)
    dataset.refresh_from_db()
    paces = [find_pace(BASE_MODEL, mode) for mode in ("PEFT_ADAPTER", "FULL")]
    assert [pace and pace.token_seconds for pace in paces] == [0.001, None]
    assert token_counts.ask(dataset, BASE_MODEL, NOW + timedelta(seconds=30))


def test_a_server_without_an_answer_is_left_alone_for_a_while(fake_gateway):
    dataset, asked = factories.dataset(), []
    for minute in range(12):
        asked.append(token_counts.ask(dataset, BASE_MODEL, NOW + timedelta(minutes=minute)))
        dataset.refresh_from_db()
    assert asked == [True] * 6 + [False] * 6
    assert token_counts.ask(dataset, BASE_MODEL, NOW + timedelta(minutes=20))


def test_on_vertex_ai_nobody_is_asked(settings):
    settings.VERTEX_API_ENDPOINT = ""
    dataset = factories.dataset(token_estimate=1000)
    assert not token_counts.ask(dataset, BASE_MODEL, NOW)
    assert estimates.tokens_of(dataset, BASE_MODEL) == (1000, 0)


def test_a_server_that_does_not_answer_leaves_the_estimate(fake_gateway):
    fake_gateway.fail("catalogue.count_tokens", Unavailable("Away.", "UNAVAILABLE"))
    dataset = factories.dataset(token_estimate=1000)
    token_counts.ask(dataset, BASE_MODEL, NOW)
    token_counts.run(dataset.pk, BASE_MODEL, dataset.pk)
    dataset.refresh_from_db()
    assert estimates.tokens_of(dataset, BASE_MODEL) == (1000, 0)


def test_rows_with_tools_are_known_to_find_no_place_in_the_template(fake_gateway):
    fake_gateway.fail("catalogue.count_tokens", Refused("The chat template of this model knows no tools.", NO_TOOLS))
    dataset = factories.dataset()
    token_counts.ask(dataset, BASE_MODEL, NOW)
    token_counts.run(dataset.pk, BASE_MODEL, dataset.pk)
    dataset.refresh_from_db()
    assert (dataset.has_unknown_tools(BASE_MODEL), token_counts.is_pending(dataset, BASE_MODEL, NOW)) == (True, False)
    assert not token_counts.ask(dataset, BASE_MODEL, NOW + timedelta(days=1))
    assert dataset_policies.why_not_teach_tools(dataset, BASE_MODEL, "Gemma", learns=None) == (
        "The rows of this dataset call tools, and the chat template of Gemma has no place for tools. Choose a base "
        "model whose template has one, or a dataset without tools."
    )
    assert dataset_policies.why_not_teach_tools(dataset, "another@model", "Another", learns=None) == ""


def test_another_refusal_is_no_word_about_tools(fake_gateway):
    fake_gateway.fail("catalogue.count_tokens", Refused("No.", "INVALID_ARGUMENT"))
    dataset = factories.dataset()
    token_counts.ask(dataset, BASE_MODEL, NOW)
    token_counts.run(dataset.pk, BASE_MODEL, dataset.pk)
    dataset.refresh_from_db()
    assert dataset_policies.why_not_teach_tools(dataset, BASE_MODEL, "Gemma", learns=None) == ""


def test_a_page_that_is_looked_at_asks_nothing_while_the_disk_is_full(fake_gateway, settings):
    dataset = factories.dataset()
    settings.DISK_LEAST_BYTES = 2**62
    assert (token_counts.ask(dataset, BASE_MODEL, NOW), type(dataset).objects.get().token_counts) == (False, {})
