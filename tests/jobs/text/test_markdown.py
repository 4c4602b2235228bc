import random
import re
import time
from html.parser import HTMLParser

import pytest

from jobs.text import markdown, math

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
SQUARE = '<math display="{}"><mrow><msup><mi>x</mi><mn>2</mn></msup></mrow></math>'
LINK = {"href", "title", "rel", "target"}
OWN = {"a": LINK, "ol": {"start", "dir"}, "ul": {"dir"}, "blockquote": {"dir"}, "table": {"tabindex", "dir"}}
ATTRIBUTES = OWN | {tag: {"class"} for tag in markdown.CLASSES} | {"pre": {"class", "data-language"}}


class Checker(HTMLParser):
    """What is off the allowlist in a piece of HTML."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        if tag in math.ELEMENTS:
            strange = [name for name, value in attrs if not math.VALUES[name].fullmatch(value)]
            self.found += [f"{tag} {name}" for name in strange]
            return
        if tag not in markdown.TAGS:
            self.found.append(tag)
        for name, value in attrs:
            if name not in ATTRIBUTES.get(tag, set()):
                self.found.append(f"{tag} {name}")
            if name == "href" and value and not re.match(r"https?:|mailto:|[/#?]|[\w%\"]", value):
                self.found.append(value)
            if name == "href" and re.match(r"\s*(javascript|data|vbscript|file):", value or "", re.I):
                self.found.append(value)
            if name == "class" and not set(value.split()) <= markdown.CLASSES[tag]:
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


@pytest.mark.parametrize("rendered", [markdown.render, markdown.answer])
def test_nothing_off_the_allowlist(rendered):
    found = {payload: off_the_list(rendered(payload)) for payload in PAYLOADS}
    assert {payload: remarks for payload, remarks in found.items() if remarks} == {}


def test_an_answer_leads_nowhere_but_to_the_page_that_asks():
    for payload in PAYLOADS:
        html = markdown.answer(payload)
        links = re.findall(r'href="([^"]*)', html)
        assert (payload, [to for to in links if not to.startswith(markdown.leave())]) == (payload, [])
        assert html.count("<a ") == html.count('target="_blank" rel="noopener noreferrer nofollow"'), payload


@pytest.mark.parametrize(
    ("source", "link"),
    [
        (
            "[x](https://a.example/?q=1&r=2#s 't')",
            '<a href="/leave/?to=https%3A%2F%2Fa.example%2F%3Fq%3D1%26r%3D2%23s" title="t"',
        ),
        ("<https://a.example>", '<a href="/leave/?to=https%3A%2F%2Fa.example"'),
        ("<someone@a.example>", '<a href="/leave/?to=mailto%3Asomeone%40a.example"'),
        ("[x](HTTPS://a.example)", '<a href="/leave/?to=HTTPS%3A%2F%2Fa.example"'),
        ("[x](/leave/?to=javascript:alert)", "<a target"),
        ("[x](/endpoints/)", "<a target"),
        ("[x](//a.example)", "<a target"),
        ("[x](tel:1)", "<a target"),
        (f"[x](https://a.example/{'a' * 4000})", "<a target"),
    ],
)
def test_the_links_of_an_answer(source, link):
    assert link in markdown.answer(source)


@pytest.mark.parametrize(
    ("source", "html"),
    [
        ("$\\a_1 + b_2 = *c*$", '<p><code class="math">\\a_1 + b_2 = *c*</code></p>\n'),
        (r"so \(x^2\) is", f"<p>so {SQUARE.format('inline')} is</p>\n"),
        ("$$x^2$$ it is", f"<p>{SQUARE.format('inline')} it is</p>\n"),
        ("$$\n\\a < b\n- c\n$$", '<pre class="code"><code class="math">\\a &lt; b\n- c</code></pre>\n'),
        ("It is\n\\[ x^2 \\]\nso", f"<p>It is</p>\n<p>{SQUARE.format('block')}</p>\n<p>so</p>\n"),
        ("> $$\n> x^2\n> $$", f'<blockquote dir="auto">\n<p>{SQUARE.format("block")}</p>\n</blockquote>\n'),
        ("$5 and $10, $ 5 $", "<p>$5 and $10, $ 5 $</p>\n"),
        ("US$5, CA$6", "<p>US$5, CA$6</p>\n"),
        ("`$a$` and $$", "<p><code>$a$</code> and $$</p>\n"),
        ("$$\nopen", "<p>$$\nopen</p>\n"),
        ("$\\<script>$", '<p><code class="math">\\&lt;script&gt;</code></p>\n'),
    ],
)
def test_mathematics_is_drawn_or_stays_as_it_is_written(source, html):
    assert markdown.answer(source) == html


@pytest.mark.parametrize("pattern", ["$a", r"\(", r"\[" + "\n", "$$\n", "$$ a\n", "$a$1"])
def test_unfinished_mathematics_costs_little(pattern):
    began = time.process_time()
    markdown.answer(pattern * (20_000 // len(pattern)))
    assert time.process_time() - began < 3


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
        ("3. a\n4. b", '<ol start="3" dir="auto">\n<li>a</li>\n<li>b</li>\n</ol>\n'),
        ("```\na < b\n```", '<pre class="code"><code>a &lt; b\n</code></pre>\n'),
        ("```py\npass\n```", '<pre class="code" data-language="py"><code><span class="k">pass</span>\n</code></pre>\n'),
        ("```nonsense\nx\n```", '<pre class="code" data-language="nonsense"><code>x\n</code></pre>\n'),
    ],
)
def test_markdown(source, html):
    assert markdown.render(source) == html


def test_table_cells_are_aligned_by_class():
    html = markdown.render("| a | b |\n|:-:|--:|\n| 1 | 2 |")
    assert '<td class="align-center">1</td>\n<td class="align-right">2</td>' in html


def test_mere_words_look_as_if_they_had_been_parsed():
    chance = random.Random(7)
    letters = "abyzABYZ0189 ,.;:!?'()  äßéñ가힣漢字אבجд"
    texts = ["".join(chance.choices(letters, k=chance.randint(1, 40))) for _ in range(3000)]
    parsed = [markdown._cleaner(asks=True).clean(markdown._parser(asks=True).render(text)) for text in texts]
    assert [markdown.answer(text) for text in texts] == parsed
    assert 1000 < sum(bool(markdown._WORDS.fullmatch(text)) for text in texts) < 2900
