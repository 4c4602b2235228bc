from pathlib import Path

from jobs.localvertex.serving.speeds import Speeds


def test_the_fastest_measurement_counts_and_outlives_the_program(tmp_path: Path) -> None:
    speeds = Speeds(tmp_path / "speeds.json")
    assert speeds.find("a q8_0") is None
    for measured in (20.04, 31.26, 8.0):
        speeds.keep("a q8_0", measured)
    assert (Speeds(tmp_path / "speeds.json").find("a q8_0"), speeds.find("a f16")) == (31.3, None)


def test_a_file_that_was_spoilt_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "speeds.json"
    for spoilt in ('{"a": "fast", "b": -1}', "[1]", "{"):
        path.write_text(spoilt)
        speeds = Speeds(path)
        assert (speeds.find("a"), speeds.find("b")) == (None, None)
    speeds.keep("a", 5.0)
    assert speeds.find("a") == 5.0


def test_a_folder_that_is_gone_costs_nothing_but_the_figure(tmp_path: Path) -> None:
    speeds = Speeds(tmp_path / "gone" / "speeds.json")
    speeds.keep("a", 5.0)
    assert speeds.find("a") is None
