"""What a page shows after each frame, and how little of it is drawn anew."""

import re
from html import unescape
from uuid import UUID

import pytest

from jobs.services.chat.streaming.renderer import Drawing
from jobs.text import markdown
from tests.jobs.services.chat.streaming.test_blocks import TEXT
from tests.jobs.text.test_markdown import PAYLOADS, off_the_list

ID = UUID("0b1f0e6c-8f3f-4b8e-9c3d-2f6f6f9d9a11")
PARTIAL = re.compile(
    r'<hx-partial hx-target="#reply-[0-9a-f-]{36}-(done|tail)([^"]*)" hx-swap="(\w+)">(.*?)</hx-partial>', re.S
)
CLOSING = re.compile(r"</\w+>\s*$")


class Page:
    def __init__(self):
        self.done = self.tail = ""
        self.drawn = 0

    def apply(self, fields):
        for target, deep, swap, html in PARTIAL.findall(
            fields.get("data", "") + fields.get("draft", "") + fields.get("text", "")
        ):
            if target == "done":
                self.done += html
            elif swap == "innerMorph":
                self.tail, self.drawn = html, self.drawn + 1
            else:
                self.append(deep.count(":last-child"), html)

    def append(self, deep, html):
        """At the end of the last child of the last child …, as the browser would."""
        cut = len(self.tail)
        for _ in range(deep):
            cut = CLOSING.search(self.tail[:cut]).start() if self.tail[:cut].rstrip().endswith(">") else cut
        self.tail = self.tail[:cut] + html + self.tail[cut:]

    @property
    def html(self):
        return self.done + self.tail

    @property
    def words(self):
        return unescape(re.sub(r"<[^>]+>", "", self.html)).split()


def shown(text, size, every=3):
    """In pieces of this size; drawn at every third piece if it has to be."""
    drawing, page = Drawing(ID), Page()
    for number, at in enumerate(range(0, len(text), size)):
        frame = drawing.add(text[at : at + size])
        if number % every == 0 and not drawing.is_right:
            page.apply(drawing.draw())
        elif frame:
            page.apply({"text": frame})
    page.apply(drawing.draw())
    return page


@pytest.mark.parametrize("size", [1, 2, 5, 40])
@pytest.mark.parametrize("every", [1, 3])
def test_in_the_end_the_page_shows_the_whole(size, every):
    assert shown(TEXT, size, every).html == markdown.answer(TEXT)


def test_words_are_shown_at_once_and_drawn_once():
    drawing, page = Drawing(ID), Page()
    drawing.add("One two ")
    page.apply(drawing.draw())
    for word in ("three ", "four, ", "five"):
        page.apply({"text": drawing.add(word)})
        assert drawing.is_right
    assert (page.html, page.drawn) == ("<p>One two three four, five</p>\n", 1)


@pytest.mark.parametrize(
    ("before", "text", "after"),
    [
        ("- one\n- two", " more", '<ul dir="auto">\n<li>one</li>\n<li>two more</li>\n</ul>\n'),
        ("- one\n\n- two", " more", '<ul dir="auto">\n<li>\n<p>one</p>\n</li>\n<li>\n<p>two more</p>\n</li>\n</ul>\n'),
        ("> one ", "more", '<blockquote dir="auto">\n<p>one more</p>\n</blockquote>\n'),
        ("## One", " more", "<h2>One more</h2>\n"),
        ("**One** ", "more", "<p><strong>One</strong> more</p>\n"),
        ("```\none", " two\nthree", '<pre class="code"><code>one two\nthree</code></pre>\n'),
        ("```py\none\n", "two", '<pre class="code" data-language="py"><code>one\ntwo</code></pre>\n'),
        ("one ", "<b>&", "<p>one &lt;b&gt;&amp;</p>\n"),
    ],
)
def test_text_goes_on_where_the_last_text_ends(before, text, after):
    drawing, page = Drawing(ID), Page()
    drawing.add(before)
    page.apply(drawing.draw())
    page.apply({"text": drawing.add(text)})
    assert re.sub(r"</?span[^>]*>", "", page.html) == after


@pytest.mark.parametrize(
    ("before", "text"),
    [
        ("", "One"),
        ("One\n\n", "two"),
        ("One", "\ntwo"),
        ("```p", "y"),
        ("```\none\n", "```"),
        ("| a |\n| - |\n| b", " c"),
        ("---\n", "x"),
        ("- one\n", "- two"),
    ],
)
def test_what_may_begin_something_new_has_to_be_drawn(before, text):
    drawing = Drawing(ID)
    drawing.add(before)
    drawing.draw()
    assert (drawing.add(text), drawing.add(" and"), drawing.is_right) == ("", "", False)


@pytest.mark.parametrize("text", ["*", "`", "_", "[", "&", "|", "$", "#"])
def test_marks_are_shown_and_soon_drawn(text):
    drawing = Drawing(ID)
    drawing.add("One two ")
    drawing.draw()
    assert (bool(drawing.add(text)), drawing.is_right) == (True, False)


def test_what_did_not_arrive_is_sent_again():
    drawing, page = Drawing(ID), Page()
    for text in ("One\n\nTwo\n\nThree", "\n\nFour"):
        drawing.add(text)
        drawing.lose(drawing.draw())
    assert (drawing.is_lost, drawing.add(" more")) == (True, "")
    page.apply(drawing.draw())
    assert page.html == markdown.answer("One\n\nTwo\n\nThree\n\nFour more")


def test_nothing_off_the_allowlist_in_any_frame():
    for payload in PAYLOADS:
        drawing = Drawing(ID)
        frames = []
        for number, letter in enumerate(f"Hello {payload[:200]}"):
            frames.append({"text": drawing.add(letter)})
            if number % 5 == 0:
                frames.append(drawing.draw())
        html = [part[3] for fields in frames for field in fields.values() for part in PARTIAL.findall(field)]
        assert (payload, [off_the_list(part) for part in html if off_the_list(part)]) == (payload, [])
        assert sum(field.count("<hx-partial") for fields in frames for field in fields.values()) == len(html), payload
