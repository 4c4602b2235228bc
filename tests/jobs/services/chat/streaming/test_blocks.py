import re
import time

import pytest

from jobs.services.chat.streaming.blocks import BlockRenderer
from jobs.text import markdown
from tests.jobs.text.test_markdown import PAYLOADS, off_the_list
from tests.support.share import one_of


@pytest.mark.parametrize("size", [1, 7])
def test_nothing_off_the_allowlist_while_streaming(size):
    def streamed(payload):
        renderer = BlockRenderer()
        html = [renderer.feed(payload[at : at + size]) for at in range(0, min(len(payload), 200), size)]
        return "".join(done for done, _tail in html) + html[-1][1]

    found = {payload: off_the_list(streamed(payload)) for payload in PAYLOADS}
    assert {payload: remarks for payload, remarks in found.items() if remarks} == {}


TEXT = """# Title

A paragraph with *words*
on two lines.

- one

  still one
- two

```py
def f():

    return 1
```

| a | b |
|---|---|
| 1 | 2 |

> quoted

The end.
"""


@pytest.mark.parametrize("size", [1, 3, 11, 1000])
def test_blocks_streamed_one_by_one_are_the_whole(size):
    renderer = BlockRenderer()
    done = ""
    for at in range(0, len(TEXT), size):
        finished, tail = renderer.feed(TEXT[at : at + size])
        done += finished
    assert done + tail == markdown.answer(TEXT)


def test_a_long_code_block_is_cut_at_a_line_and_stays_code():
    renderer = BlockRenderer()
    finished, tail = "", ""
    for number in range(400):
        part, tail = renderer.feed(f"```\nline {number}\n" if number == 0 else f"line {number}\n")
        finished += part
    assert re.findall(r"line (\d+)", finished + tail) == [str(number) for number in range(400)]
    assert (off_the_list(finished + tail), len(tail) < 3000) == ([], True)
    assert re.sub(r"</?(pre|code)[^>]*>|line \d+\s*", "", finished + tail).strip() == ""


@pytest.mark.parametrize("pattern", one_of(3, ["word ", "word\n", "word\n\n", "* word\n", "x"]))
def test_the_cost_is_linear(pattern):
    """Four times the text: sixteen times the time would be quadratic, the clock of a busy machine is off by half."""
    assert cost(pattern, 10_000) < 9 * max(cost(pattern, 2_500), 0.01)


def cost(pattern, size):
    """The least of three: collecting the garbage of other tests counts as time, too."""
    return min(spent(pattern, size) for _ in range(3))


def spent(pattern, size):
    renderer, text = BlockRenderer(), pattern * (size // len(pattern))
    began = time.process_time()
    for at in range(0, len(text), 40):
        renderer.feed(text[at : at + 40])
    return time.process_time() - began
