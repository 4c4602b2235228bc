from console.presenters.catalogue.precisions import choices_of, default_of, list_precisions
from jobs.models import PublisherModel


def of(*offers):
    return list_precisions(PublisherModel(data={"precisions": {"base": list(offers)}}))


def offer(kind, **values):
    return {"kind": kind, "size": 2**20, "memory": 0, "tokens_per_second": None, "is_default": False} | values


def test_the_most_exact_comes_first_and_the_default_is_told():
    options = of(offer("q8_0", is_default=True), offer("f16"))
    assert ([one.key for one in options], default_of(options)) == (["f16", "q8_0"], "q8_0")
    assert choices_of(options)[0] == ("f16", "F16 · 1.0\xa0MB file · speed not measured yet")


def test_a_file_whose_numbers_have_no_name_here_is_the_models_own():
    options = of(offer("", is_default=True))
    assert [(one.key, one.name) for one in options] == [("", "The model's own file")]


def test_a_model_that_tells_none_offers_none():
    assert (list_precisions(PublisherModel(data={})), default_of([])) == ([], "")
