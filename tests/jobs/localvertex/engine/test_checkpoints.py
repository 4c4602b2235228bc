from pathlib import Path

from jobs.localvertex.engine.checkpoints import forget_optimizer_states, last_resumable, remove_halves
from jobs.localvertex.engine.job import checkpoint_epochs


def checkpoint(workdir: Path, step: int, state: str = "{}") -> Path:
    folder = workdir / "checkpoints" / f"checkpoint-{step}"
    folder.mkdir(parents=True)
    for name in ("adapter_model.safetensors", "optimizer.pt", "scheduler.pt", "rng_state.pth"):
        (folder / name).touch()
    (folder / "trainer_state.json").write_text(state)
    return folder


def test_halves_are_removed_and_the_last_whole_one_is_resumed_from(tmp_path: Path) -> None:
    checkpoint(tmp_path, 2)
    whole = checkpoint(tmp_path, 10)
    half = checkpoint(tmp_path, 12, state='{"epoch": 1')
    remove_halves(tmp_path)
    assert last_resumable(tmp_path) == whole
    assert not half.exists()


def test_nothing_to_resume_from(tmp_path: Path) -> None:
    assert last_resumable(tmp_path) is None


def test_only_the_newest_keeps_its_optimizer(tmp_path: Path) -> None:
    first, second = checkpoint(tmp_path, 2), checkpoint(tmp_path, 4)
    forget_optimizer_states(tmp_path, keep=second)
    assert [folder.name for folder in (first, second) if (folder / "optimizer.pt").exists()] == ["checkpoint-4"]


def test_at_most_ten_epochs_are_saved_and_the_last_always() -> None:
    assert checkpoint_epochs(3) == {1, 2, 3}
    assert checkpoint_epochs(25) == {3, 5, 8, 10, 13, 15, 18, 20, 23, 25}
