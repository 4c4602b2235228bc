"""Porter's own examples, and where NLTK, whose stemmer ROUGE uses, differs from them."""

import pytest

from jobs.localvertex.evaluation.stemmer import stem

PAIRS = {
    "caresses": "caress", "ponies": "poni", "cats": "cat", "feed": "feed", "agreed": "agre", "plastered": "plaster",
    "bled": "bled", "motoring": "motor", "sing": "sing", "conflated": "conflat", "troubled": "troubl",
    "sized": "size", "hopping": "hop", "tanned": "tan", "falling": "fall", "hissing": "hiss", "fizzed": "fizz",
    "failing": "fail", "filing": "file", "happy": "happi", "relational": "relat", "conditional": "condit",
    "rational": "ration", "valenci": "valenc", "digitizer": "digit", "operator": "oper", "feudalism": "feudal",
    "decisiveness": "decis", "hopefulness": "hope", "callousness": "callous", "formaliti": "formal",
    "sensitiviti": "sensit", "sensibiliti": "sensibl", "triplicate": "triplic", "formative": "form",
    "electrical": "electr", "goodness": "good", "revival": "reviv", "allowance": "allow", "inference": "infer",
    "airliner": "airlin", "adjustable": "adjust", "adoption": "adopt", "communism": "commun", "effective": "effect",
    "probate": "probat", "rate": "rate", "cease": "ceas", "controll": "control", "roll": "roll", "dies": "die",
    "died": "die", "spied": "spi", "flies": "fli", "skies": "sky", "news": "news", "by": "by", "enjoy": "enjoy",
    "generally": "gener", "geology": "geolog",
}  # fmt: skip


@pytest.mark.parametrize(("word", "stemmed"), list(PAIRS.items()))
def test_stems(word, stemmed):
    assert stem(word) == stemmed
