import re
import time

import pytest

from jobs.text import math


def shown(tex):
    """Without the elements."""
    return re.sub(r"<[^>]+>", "", math.mathml(tex, "inline"))


@pytest.mark.parametrize(
    ("tex", "text"),
    [
        (r"\int_0^\infty e^{-x^2} dx = \frac{\sqrt{\pi}}{2}", "∫0∞e−x2dx=π2"),
        (r"\begin{pmatrix}a&b\\c&d\end{pmatrix}", "(abcd)"),
        (r"\begin{aligned}a&=b\\c&=d\end{aligned}", "a=bc=d"),
        (r"a &= b \\ &= c", "a=b=c"),
        (r"90\% \text{ of } x < y", "90%\xa0of\xa0x&lt;y"),
    ],
)
def test_what_is_understood_is_drawn(tex, text):
    assert shown(tex) == text


@pytest.mark.parametrize("tex", [r"\frac{", r"\unknown x", "a & b", r"\left(", "{" * 400, r"\boxed{4}", "^" * 90, ""])
def test_what_is_not_understood_is_not(tex):
    source = f'<p><code class="math">{tex}</code></p>'
    assert math.render_formulas(source) == source


@pytest.mark.parametrize(
    "tex",
    [
        r"\href{javascript:alert(1)}{x}", r"\style{position:fixed}{x}", r"\class{x\" onclick=\"alert(1)}{x}",
        r"\color{red\" onload=\"x}x", r"\hspace{99999em}x", r"\rule{900em}{900em}x",
    ],
)  # fmt: skip
def test_no_value_is_taken_over_that_is_not_known(tex):
    for name, value in re.findall(r' ([a-z]+)="([^"]*)"', math.mathml(tex, "inline")):
        assert math.VALUES[name].fullmatch(value)


def test_what_was_written_stays_text():
    assert math.mathml(r"\text{<img src=x onerror=y>}", "inline") == (
        '<math display="inline"><mrow><mtext>&lt;img\xa0src=x\xa0onerror=y&gt;</mtext></mrow></math>'
    )


def test_a_flood_of_formulas_is_drawn_in_part():
    source = "".join(f'<code class="math">x_{number}</code>' for number in range(2000))
    began = time.process_time()
    html = math.render_formulas(source)
    assert (html.count("<math"), html.count("<code"), time.process_time() - began < 2) == (400, 1600, True)
