from pathlib import Path

import pytest

from jobs.localvertex.api.errors import ApiError
from jobs.localvertex.models.weights import Weights
from jobs.localvertex.resources.tuning.fitting import require_trainable

NONE = Path("/nowhere")


def test_what_can_never_be_tuned_says_why() -> None:
    damaged = Weights("hf-acme/tiny@001", NONE, NONE / "model.gguf", state="failed", message="Its files are damaged.")
    with pytest.raises(ApiError, match="hf-acme/tiny@001 cannot be tuned: Its files are damaged."):
        require_trainable(damaged)


def test_what_is_still_to_be_made_ready_may_be_tuned() -> None:
    assert require_trainable(Weights("hf-acme/tiny@001", NONE, NONE / "model.gguf")) is None
