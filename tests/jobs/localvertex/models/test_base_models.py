import sys

import pytest

from jobs.localvertex.api.errors import ApiError
from jobs.localvertex.instant.model import write_model
from jobs.localvertex.models.base_models import BaseModels
from jobs.localvertex.models.weights import Weights

ID = "local/tiny@tiny"
NEVER_READY = [sys.executable, "-c", "import time; time.sleep(60)"]


def test_who_waits_for_weights_is_told_of_those_in_their_place(tmp_path):
    """As when the files of an imported model are found to be damaged."""
    write_model(tmp_path / "tiny", "waiting")
    models = BaseModels(tmp_path, [], {ID: tmp_path / "tiny"}, NEVER_READY, 2**40)
    none, asked = tmp_path / "none", []

    def replace() -> bool:
        asked.append(models.get(ID).state)
        if len(asked) == 1:
            models.add(Weights(ID, none, none / "model.gguf", state="failed", message="The files are damaged."))
        return len(asked) == 9

    with pytest.raises(ApiError, match="could not be made ready: The files are damaged."):
        models.wait(ID, "servable", replace)
    models.stop()
