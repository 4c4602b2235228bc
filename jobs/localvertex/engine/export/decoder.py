"""The language model of any family as GGUF."""

from pathlib import Path
from typing import Any

from gguf import GGML_QUANT_VERSION, GGUFType

from jobs.localvertex.engine.export.forms.gemma_3 import Gemma3
from jobs.localvertex.engine.export.forms.gemma_4 import Gemma4
from jobs.localvertex.engine.export.forms.gpt_oss import GptOss
from jobs.localvertex.engine.export.forms.phi_3 import Phi3
from jobs.localvertex.engine.export.forms.plain import Plain
from jobs.localvertex.engine.export.forms.smollm_3 import SmolLM3
from jobs.localvertex.engine.export.tensor_file import FILE_TYPES, TYPES, TensorFile, Weights, text_name
from jobs.localvertex.engine.export.vocabulary import read_tokenizer
from jobs.localvertex.engine.families.metaspace import name_for
from jobs.localvertex.engine.families.table import GEMMA_3, GEMMA_4, GPT_OSS, MODEL_TYPES, PHI_3, SMOLLM_3

FORMS: dict[str, type[Plain]] = {
    GEMMA_3.architecture: Gemma3,
    SMOLLM_3.architecture: SmolLM3,
    PHI_3.architecture: Phi3,
    GEMMA_4.architecture: Gemma4,
    GPT_OSS.architecture: GptOss,
}


def form_of(config: Any) -> Plain:
    family = MODEL_TYPES[config.model_type]
    return FORMS.get(family.architecture, Plain)(family, config.get_text_config(), config.tie_word_embeddings)


def write_decoder(folder: Path, config: Any, weights: Weights, path: Path, name: str, kind: str) -> None:
    form = form_of(config)
    form.check()
    form.check_tokenizer(folder)
    file = TensorFile(
        weights, path, form.family.architecture, TYPES[kind], layers=form.text.num_hidden_layers,
        has_output=not form.shares_vocabulary,
    )  # fmt: skip
    file.writer.add_type(GGUFType.MODEL)
    file.writer.add_name(name_for(name, read_tokenizer(folder)))
    file.writer.add_file_type(FILE_TYPES[kind])
    file.writer.add_quantization_version(GGML_QUANT_VERSION)
    form.write_settings(file)
    sources = {inner: source for source in weights.place if (inner := text_name(source))}
    rows = form.write_vocabulary(file.writer, folder, weights.shape(sources["model.embed_tokens.weight"])[0])
    for inner, source in sources.items():
        if inner != "lm_head.weight" or not form.shares_vocabulary:
            form.add_tensor(file, source, inner, rows)
    file.write()
