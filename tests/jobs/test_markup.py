import re
import time
from html.parser import HTMLParser

import pytest

from jobs import markup

PAYLOADS = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg onload=alert(1)>",
    "<svg/onload=alert(1)>",
    "<iframe src=javascript:alert(1)>",
    "<math><mtext><style><img src=x onerror=alert(1)></style>",
    "<body onload=alert(1)>",
    "<a href=javascript:alert(1)>x</a>",
    "<details open ontoggle=alert(1)>",
    "<video><source onerror=alert(1)></video>",
    "<form action=https://evil.example><input name=q></form>",
    "<button formaction=javascript:alert(1)>x",
    "<base href=//evil>",
    "<meta http-equiv=refresh content='0;url=//evil'>",
    "<link rel=stylesheet href=//evil/x.css>",
    "<style>@import '//evil'</style>",
    "<object data=//evil></object>",
    "<embed src=//evil>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
    "<template><script>alert(1)</script></template>",
    "<textarea><script>alert(1)</script>",
    "<title><img onerror=alert(1)>",
    "<xmp><script>alert(1)</script></xmp>",
    "<!--<img src=x onerror=alert(1)>-->",
    "<![CDATA[<script>alert(1)</script>]]>",
    "<?xml version='1.0'?><x/>",
    "<!DOCTYPE html>",
    "</div></body>",
    "<div hx-get=/x hx-trigger=load>",
    "<div data-hx-get=/x>",
    "<hx-partial hx-target='body'>x</hx-partial>",
    "<p hx-on:load=alert(1)>",
    "<div data-controller=evil>",
    "<p style='color:red'>x",
    "<p class=badge id=main>x",
    "<a href=https://evil ping=//evil>x</a>",
    "<img srcset='//evil 1x'>",
    "<picture><source srcset=//evil>",
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt:alert(1))",
    "[x](java\tscript:alert(1))",
    "[x](&#106;avascript:alert(1))",
    "[x](vbscript:msgbox)",
    "[x](data:text/html;base64,PHNjcmlwdD4=)",
    "[x](file:///etc/passwd)",
    "[x](//evil.example)",
    "[x](<javascript:alert(1)>)",
    "<javascript:alert(1)>",
    "[x]: javascript:alert(1)\n\n[x]",
    "[x](https://a 'onmouseover=alert(1)')",
    '[x](https://a "x" onmouseover=alert(1))',
    '[x]("onmouseover=alert(1)//)',
    "![x](https://evil.example/pixel.png)",
    "![x](data:image/svg+xml;base64,PHN2Zz4=)",
    "![x][r]\n\n[r]: https://evil.example/p.png",
    "![a](javascript:alert(1))",
    '!["onerror=alert(1)](https://evil)',
    "![x](https://[evil)",
    "[![x](https://evil/a.png)](javascript:alert(1))",
    "```html\n<script>alert(1)</script>\n```",
    '```"><script>alert(1)</script>\nx\n```',
    "```python onload=alert(1)\nx\n```",
    "`<script>alert(1)</script>`",
    "    <script>alert(1)</script>",
    "# <script>alert(1)</script>",
    "> <img src=x onerror=alert(1)>",
    "| <script>x</script> | b |\n|:--|--:|\n| <img onerror=x> | 2 |",
    "* <iframe src=//evil>",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "&#60;script&#62;alert(1)&#60;/script&#62;",
    "\\<script>alert(1)\\</script>",
    "<scr\x00ipt>alert(1)</script>",
    "<scr<script>ipt>alert(1)</script>",
    "<a\nhref\n=\njavascript:alert(1)>x",
    "\u202e<script>\u202c",
    "<sc\u0000ript>",
    "[x](https://user:pass@evil)",
    '<https://evil/"onmouseover=alert(1)>',
    "~~<script>~~",
    "**<img src=x onerror=alert(1)>**",
    "a" * 5000 + "<script>",
    "[" * 500 + "](x)",
    "> " * 200 + "<script>",
    "- " * 100 + "<svg onload=x>",
    "<" * 2000,
]
ATTRIBUTES = {"a": {"href", "title", "rel"}, "ol": {"start"}} | {tag: {"class"} for tag in markup.CLASSES}


class Checker(HTMLParser):
    """What is off the allowlist in a piece of HTML."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        if tag not in markup.TAGS:
            self.found.append(tag)
        for name, value in attrs:
            if name not in ATTRIBUTES.get(tag, set()):
                self.found.append(f"{tag} {name}")
            if name == "href" and value and not re.match(r"https?:|mailto:|[/#?]|[\w%\"]", value):
                self.found.append(value)
            if name == "href" and re.match(r"\s*(javascript|data|vbscript|file):", value or "", re.I):
                self.found.append(value)
            if name == "class" and not set(value.split()) <= markup.CLASSES[tag]:
                self.found.append(f"class {value}")

    def handle_comment(self, data):
        self.found.append(f"comment {data}")

    def handle_decl(self, decl):
        self.found.append(decl)

    handle_pi = unknown_decl = handle_decl


def off_the_list(html):
    checker = Checker()
    checker.feed(html)
    checker.close()
    return checker.found


def test_the_corpus_is_large_enough():
    assert len(set(PAYLOADS)) >= 60


@pytest.mark.parametrize("payload", PAYLOADS)
def test_nothing_off_the_allowlist(payload):
    assert off_the_list(markup.render(payload)) == []


@pytest.mark.parametrize("payload", PAYLOADS)
@pytest.mark.parametrize("size", [1, 7])
def test_nothing_off_the_allowlist_while_streaming(payload, size):
    renderer = markup.BlockRenderer()
    html = [renderer.feed(payload[at : at + size]) for at in range(0, min(len(payload), 200), size)]
    assert off_the_list("".join(done for done, _tail in html) + html[-1][1]) == []


@pytest.mark.parametrize(
    ("source", "html"),
    [
        ("*a* **b** `c` ~~d~~", "<p><em>a</em> <strong>b</strong> <code>c</code> <s>d</s></p>\n"),
        ("a\nb", "<p>a\nb</p>\n"),
        (
            "[x](https://a.example 't')",
            '<p><a href="https://a.example" title="t" rel="noopener noreferrer nofollow">x</a></p>\n',
        ),
        (
            "![A cat](https://evil.example/c.png?id=1)",
            '<p><span class="blocked-image">Image “A cat” from evil.example is not loaded</span></p>\n',
        ),
        ("3. a\n4. b", '<ol start="3">\n<li>a</li>\n<li>b</li>\n</ol>\n'),
        ("```\na < b\n```", '<pre class="code"><code>a &lt; b\n</code></pre>\n'),
        ("```py\npass\n```", '<pre class="code"><code><span class="k">pass</span>\n</code></pre>\n'),
        ("```nonsense\nx\n```", '<pre class="code"><code>x\n</code></pre>\n'),
    ],
)
def test_markdown(source, html):
    assert markup.render(source) == html


def test_table_cells_are_aligned_by_class():
    html = markup.render("| a | b |\n|:-:|--:|\n| 1 | 2 |")
    assert '<td class="align-center">1</td>\n<td class="align-right">2</td>' in html


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
    renderer = markup.BlockRenderer()
    done = ""
    for at in range(0, len(TEXT), size):
        finished, tail = renderer.feed(TEXT[at : at + size])
        done += finished
    assert done + tail == markup.render(TEXT)


def test_a_long_code_block_is_cut_at_a_line_and_stays_code():
    renderer = markup.BlockRenderer()
    finished, tail = "", ""
    for number in range(400):
        part, tail = renderer.feed(f"```\nline {number}\n" if number == 0 else f"line {number}\n")
        finished += part
    assert re.findall(r"line (\d+)", finished + tail) == [str(number) for number in range(400)]
    assert (off_the_list(finished + tail), len(tail) < 3000) == ([], True)
    assert re.sub(r"</?(pre|code)[^>]*>|line \d+\s*", "", finished + tail).strip() == ""


@pytest.mark.parametrize("pattern", ["word ", "word\n", "word\n\n", "* word\n", "x"])
def test_the_cost_is_linear(pattern):
    assert cost(pattern, 10_000) < 4 * max(cost(pattern, 5_000), 0.02)


def cost(pattern, size):
    """The least of three: collecting the garbage of other tests counts as time, too."""
    return min(spent(pattern, size) for _ in range(3))


def spent(pattern, size):
    renderer, text = markup.BlockRenderer(), pattern * (size // len(pattern))
    began = time.process_time()
    for at in range(0, len(text), 40):
        renderer.feed(text[at : at + 40])
    return time.process_time() - began
