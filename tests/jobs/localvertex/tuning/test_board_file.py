import struct

import google_crc32c

from jobs.localvertex.tuning.board_file import write

STEP = {"event": "step", "step": 300, "loss": 2.5, "token_accuracy": 0.5, "learning_rate": 0.001, "time": 1.5}
EVAL = {"event": "eval", "step": 300, "loss": 0.0, "token_accuracy": 1.0, "num_predictions": 7, "time": 2.0}


def masked(content):
    value = google_crc32c.value(content)
    return (((value >> 15) | (value << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def records(content):
    """As TensorFlow's reader takes them apart, checksums and all."""
    while content:
        (length, checked) = struct.unpack("<QI", content[:12])
        assert checked == masked(content[:8])
        message, rest = content[12 : 12 + length], content[12 + length :]
        assert struct.unpack("<I", rest[:4]) == (masked(message),)
        yield message
        content = rest[4:]


def scalar(tag, value):
    inner = b"\x0a" + bytes([len(tag)]) + tag + b"\x15" + struct.pack("<f", value)
    return b"\x0a" + bytes([len(inner)]) + inner


def test_records_hold_the_measures(tmp_path):
    write([{"event": "loading", "time": 1.0}, STEP, EVAL], tmp_path / "events")
    version, step, evaluation = records((tmp_path / "events").read_bytes())
    assert version == b"\x09" + struct.pack("<d", 1.0) + b"\x1a\x0dbrain.Event:2"
    summary = scalar(b"train/loss", 2.5) + scalar(b"train/token_accuracy", 0.5) + scalar(b"train/learning_rate", 0.001)
    head = b"\x09" + struct.pack("<d", 1.5) + b"\x10\xac\x02"  # 300 takes two bytes
    assert step == head + b"\x2a" + bytes([len(summary)]) + summary
    assert evaluation.endswith(scalar(b"eval/token_accuracy", 1.0) + scalar(b"eval/perplexity", 1.0))
    assert [path.name for path in tmp_path.glob("*events*")] == ["events"]
