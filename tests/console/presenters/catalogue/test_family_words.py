import pytest

from console.presenters.catalogue import model_families
from console.presenters.catalogue.family_words import of_sizes
from tests.support import factories

TEXT, BOTH = ("text",), ("text", "image")


@pytest.mark.parametrize(
    ("sizes", "modalities", "words"),
    [
        (["270M", "27B"], [TEXT, TEXT], "2 models with 270M to 27B parameters. They read text."),
        (
            ["1B", "4B", "12B"],
            [TEXT, BOTH, BOTH],
            "3 models with 1B to 12B parameters. They read text; some also read images.",
        ),
        (["4B", "4B"], [BOTH, BOTH], "2 models. They read text and images."),
        (["4B", ""], [TEXT, ()], "2 models."),
    ],
)
def test_what_a_card_says_of_several_sizes(sizes, modalities, words):
    assert of_sizes(sizes, modalities) == words


@pytest.mark.django_db
def test_a_family_is_described_by_its_sizes_and_a_single_model_by_its_own_words():
    small = factories.publisher_model(data={"overview": "The smallest.", "modalities": ["text"], "parameters": "270M"})
    assert model_families.family([small]).summary == "The smallest."
    large = factories.publisher_model(
        name="google/gemma3@gemma-3-4b-it", data={"modalities": ["text", "image"], "parameters": "4B"}
    )
    both = model_families.family([large, small])
    assert both.summary == "2 models with 270M to 4B parameters. They read text; some also read images."
