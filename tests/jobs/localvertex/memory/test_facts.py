import json

from jobs.localvertex.memory.facts import describe_training
from jobs.localvertex.memory.fit import MARGIN
from jobs.localvertex.memory.shape import Shape
from jobs.localvertex.memory.training import Method, Row, Training
from tests.jobs.localvertex.engine.conftest import TINY


def test_the_table_gives_what_the_estimate_does():
    shape = Shape.read(TINY)
    assert shape is not None
    told = json.loads(json.dumps(describe_training(shape, 4, 300)))
    assert (told["batch"], list(told["modes"])) == (4, ["PEFT_ADAPTER", "FULL"])
    mode = told["modes"]["FULL"]
    assert list(mode["rows"]) == ["16", "64", "128", "256", "300"]
    step = mode["step"] + 2 * (mode["rows"]["300"] + 100 * mode["answer"])
    whole = Training(shape, Method("FULL")).peak([Row(300, 100)] * 2, 2) * MARGIN
    assert abs(mode["fixed"] + max(mode["saving"], step) - whole) < 1000
    assert mode["rank"] == 0
