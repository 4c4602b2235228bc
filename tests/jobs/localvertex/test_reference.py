from jobs.localvertex import reference
from jobs.localvertex.app import MODULES


def test_every_call_is_described():
    assert set(reference.DEPTH) == {route.method for module in MODULES for route in module.ROUTES}


def test_table_of_the_document_is_current():
    text = reference.DOCUMENT.read_text(encoding="utf-8")
    assert reference.document(text) == text, "Run: python -m jobs.localvertex.reference"


def test_v1_lacks_some_calls():
    rows = {line.split(" | ")[0][2:]: line.split(" | ")[2] for line in reference.table().splitlines()[2:]}
    assert (rows["recommend_spec"], rows["deploy"], rows["get_operation"]) == ("no", "yes", "yes")
