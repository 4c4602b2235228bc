"""GGUF files of a whole model: which there are, and how large they become."""

from jobs.models import TakeawayForm
from jobs.services.catalogue.facts import is_known_to_engine
from jobs.text.deferred import gettext as _

from . import engine

TYPES = {TakeawayForm.GGUF_F16: "f16", TakeawayForm.GGUF_Q8_0: "q8_0", TakeawayForm.GGUF_Q4_K_M: "q4_k_m"}
# Of the 16-bit weights. Of the smallest models the rows are no whole blocks of Q4_K, so it takes more.
SHARES = {TakeawayForm.GGUF_F16: 1.0, TakeawayForm.GGUF_Q8_0: 0.54, TakeawayForm.GGUF_Q4_K_M: 0.31}
SHARES_OF_SMALL = {"gemma-3-270m": 0.445, "gemma-3-1b": 0.41, "smollm2-135m": 0.392}


def why_not_convert(base_model: str) -> str:
    if not is_known_to_engine(base_model):
        return _(
            "Models of this family are not converted here. Download the whole model and convert it with llama.cpp."
        )
    if engine.is_missing():
        return _(
            "This console is installed without the engine that converts models. Download the whole model and "
            "convert it with llama.cpp."
        )
    return ""


def size_of(form: str, whole: int, base_model: str) -> int:
    """About. `whole`: of the 16-bit weights."""
    share = SHARES[TakeawayForm(form)]
    if form == TakeawayForm.GGUF_Q4_K_M:
        share = next((small for name, small in SHARES_OF_SMALL.items() if f"@{name}" in base_model), share)
    return round(whole * share)
