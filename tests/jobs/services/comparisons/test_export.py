import pytest

from jobs import errors
from jobs.services.comparisons import export
from tests.jobs.services.comparisons.test_comparisons import columns
from tests.jobs.services.comparisons.test_votes import compared, endpoints, voted

__all__ = ["endpoints"]
pytestmark = pytest.mark.django_db(transaction=True)


def test_a_comparison_is_read_round_by_round(owner, endpoints):  # noqa: F811  # the fixture
    comparison = compared(owner, endpoints)
    voted(comparison, columns(comparison)[1])
    names = [f"- {letter}: {endpoint.label}" for letter, endpoint in zip("AB", endpoints, strict=True)]
    parts = export.markdown(comparison).split("\n\n")
    assert [part.strip() for part in parts] == [
        f"# {comparison.title}", "\n".join(names), "## You", "Ahoy", "### A", "Ahoy", "### B (Best)", "Ahoy",
    ]  # fmt: skip


def test_it_is_kept_with_its_columns_and_votes(owner, endpoints):  # noqa: F811  # the fixture
    comparison = compared(owner, endpoints)
    voted(comparison, columns(comparison)[1])
    kept = export.document(comparison)
    assert [column["endpoint"]["name"] for column in kept["columns"]] == ["Base", "Tuned"]
    assert [len(column["messages"]) for column in kept["columns"]] == [2, 2]
    assert kept["votes"] == [{"round": 1, "winner": kept["columns"][1]["id"]}]


@pytest.mark.parametrize("make", [export.markdown, export.document])
def test_what_is_hidden_is_not_told_by_a_file(owner, endpoints, make):  # noqa: F811  # the fixture
    with pytest.raises(errors.NotAllowedNow, match="reveal the model names"):
        make(compared(owner, endpoints, blind=True))
