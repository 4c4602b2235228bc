import threading
from pathlib import Path

import pytest

from jobs.errors import ImageRefused
from jobs.services.image_files.batch import IMAGES_A_CHILD, Batch
from jobs.services.image_files.image_file import AT_ONCE
from tests.support import factories
from tests.support.images import animate, draw, turn

pytestmark = pytest.mark.threat("T10")
TALKS = (
    "import json, sys\n"
    "for line in sys.stdin.buffer:\n"
    "    asked = json.loads(line); content = sys.stdin.buffer.read(asked['size'])\n"
)
PICTURE = (
    "head = {'content_type': 'image/png', 'width': 1, 'height': 1, 'turned': False, 'size': len(content)}\n"
    "    sys.stdout.buffer.write(json.dumps(head).encode() + b'\\n' + content); sys.stdout.flush()\n"
)


def outcomes(batch: Batch, *contents: bytes) -> list[str]:
    found = []
    for content in contents:
        try:
            image = batch.clean(content, "it")
            found.append(f"{image.content_type} {image.width}x{image.height}{' turned' if image.is_turned else ''}")
        except ImageRefused as error:
            found.append(str(error))
    return found


def test_each_is_drawn_anew_or_refused_by_itself() -> None:
    """A bad one between good ones takes nothing away from them."""
    with Batch(side=50) as batch:
        found = outcomes(
            batch, draw("PNG"), b"\x89PNG\r\n\x1a\n" + b"x" * 50, draw("WEBP"), turn(), animate("GIF"),
            animate("PNG"), animate("WEBP"), draw("GIF"), b"", b"<svg/>", draw("JPEG"),
        )  # fmt: skip
    moves = "it is animated. Save the frame that the model should see as PNG or JPEG."
    assert found == [
        "image/png 50x33",
        "it is damaged and can't be opened. Save it again as PNG or JPEG.",
        "image/jpeg 50x33",
        "image/jpeg 33x50 turned",
        moves,
        moves,
        moves,
        "image/png 50x33",
        "it is empty.",
        "it isn't a PNG, JPEG, WebP, or GIF image.",
        "image/jpeg 50x33",
    ]


def test_a_new_child_goes_on_after_some_hundred() -> None:
    content = factories.png(size=(16, 16))
    with Batch(side=896) as batch:
        assert outcomes(batch, *[content] * (IMAGES_A_CHILD + 10)) == ["image/png 16x16"] * (IMAGES_A_CHILD + 10)


@pytest.mark.parametrize(
    ("program", "sentence"),
    [
        ("while True: pass", "it takes too long to open."),
        ("", "it is damaged and can't be opened."),
        ("import sys; sys.exit(1)", "it is damaged and can't be opened."),
        ("import os; os.kill(os.getpid(), 9)", "it needs too much memory to open."),
        ("import os; os.kill(os.getpid(), 24)", "it takes too long to open."),
        ("print('{}')", "it is damaged and can't be opened."),
        ("print('[]')", "it is damaged and can't be opened."),
        ("print('{\"size\": -1}')", "it is damaged and can't be opened."),
        ("print('{\"size\": 99999999999}', flush=True); import time; time.sleep(60)", "it is damaged"),
        (TALKS + "    print('x' * 5000, flush=True)", "it is damaged and can't be opened."),
        (TALKS + "    content = b'<script>'; " + PICTURE, "it is damaged and can't be opened."),
    ],
)  # fmt: skip
def test_a_child_that_fails_or_was_taken_over_is_not_believed(tmp_path: Path, program: str, sentence: str) -> None:
    (tmp_path / "child.py").write_text(program)
    seconds = 0.7 if program.startswith("while") else 60
    with Batch(side=896, program=tmp_path / "child.py", seconds=seconds) as batch:
        found = outcomes(batch, factories.png(), factories.png())
    assert [text.startswith(sentence) for text in found] == [True, True]


def test_one_that_dies_of_what_came_before_is_tried_alone(tmp_path: Path) -> None:
    third = "    count = globals().get('count', 0) + 1\n    if count == 3: import os; os.kill(os.getpid(), 9)\n    "
    (tmp_path / "child.py").write_text(TALKS + third + PICTURE)
    with Batch(side=896, program=tmp_path / "child.py") as batch:
        assert outcomes(batch, *[factories.png()] * 7) == ["image/png 1x1"] * 7


def test_it_waits_until_no_others_open_as_many_as_may_be() -> None:
    found: list[str] = []
    content = factories.png()
    with Batch(side=896) as batch:
        thread = threading.Thread(target=lambda: found.extend(outcomes(batch, content)))
        with AT_ONCE, AT_ONCE:
            thread.start()
            thread.join(1)
            assert (thread.is_alive(), found) == (True, [])
        thread.join(20)
    assert found == ["image/png 40x30"]


def test_no_child_is_left(tmp_path: Path) -> None:
    note = f"import os; open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()))\n"
    (tmp_path / "child.py").write_text(f"{note}{TALKS}    {PICTURE}")
    with Batch(side=896, program=tmp_path / "child.py") as batch:
        outcomes(batch, factories.png())
    assert not Path(f"/proc/{(tmp_path / 'pid').read_text()}").exists()
