import base64
import json

import pytest

from jobs.localvertex.engine.dataset import load_examples
from jobs.localvertex.engine.rows import RowError
from jobs.localvertex.engine.tokens import ChatEncoder
from jobs.localvertex.engine.trial.counting import count_tokens
from jobs.localvertex.engine.trial.pace import measure_pace
from tests.jobs.localvertex.engine.conftest import TINY, TINY_VISION
from tests.support import factories


def test_rows_that_a_training_cuts_or_leaves_out_are_counted_like_that(tmp_path):
    pairs = [("Hi", "Hello!"), ("Hi", "Hello! " * 50), ("Hi " * 50, "Hello!")]
    lines = [json.dumps({"prompt": prompt, "completion": completion}) for prompt, completion in pairs]
    (tmp_path / "rows.jsonl").write_text("\n".join(lines))
    trained = load_examples(tmp_path / "rows.jsonl", ChatEncoder(TINY), 30, "training data")
    assert count_tokens(TINY, lines, 30) == trained.tokens


@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing.:FutureWarning")  # transformers' own, in peft
@pytest.mark.parametrize("mode", ["PEFT_ADAPTER", "FULL"])
def test_a_real_model_is_tried(mode):
    found = measure_pace(TINY, mode, 4, 1)
    assert found["token"] > 0
    assert found["step"] >= 0


def with_image(address: str) -> str:
    shown = {"type": "image_url", "image_url": {"url": address}}
    asked = {"role": "user", "content": [shown, {"type": "text", "text": "What is it?"}]}
    return json.dumps({"messages": [asked, {"role": "assistant", "content": "A red square."}]})


def test_images_in_buckets_are_counted_without_being_read():
    inline = "data:image/png;base64," + base64.b64encode(factories.png()).decode()
    counts = [count_tokens(TINY_VISION, [with_image(address)], 500) for address in ("gs://a-bucket/lost.png", inline)]
    assert counts[0] == counts[1] > 18


def test_rows_with_images_are_not_counted_for_a_model_that_reads_text_only():
    with pytest.raises(RowError, match="^this model reads text only"):
        count_tokens(TINY, [with_image("gs://a-bucket/lost.png")], 500)
