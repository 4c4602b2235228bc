import re

import pytest
from django.urls import reverse

from console.templatetags.chat import answer_html
from jobs.models import Message
from jobs.text import markdown

CHECK = '<p class="address">'


def address_shown(client, address):
    response = client.get(reverse("leave"), {"to": address})
    html = response.content.decode()
    shown = html.partition(CHECK)[2].partition("</p>")[0]
    link = re.search(r'<a class="btn filled" href="([^"]*)" rel="([^"]*)"', html)
    return response.status_code, shown, link[1] if link else ""


def test_answers_link_to_it():
    assert reverse("leave") + "?to=" == markdown.leave()


def test_it_shows_the_whole_address_and_the_site_in_it(client):
    address = "https://user:pass@www.evil.example:8443/bank.example/?a=1&amp=2#top"
    shown = "https://user:pass@<strong>www.evil.example</strong>:8443/bank.example/?a=1&amp;amp=2#top"
    assert address_shown(client, address) == (200, shown, shown.replace("<strong>", "").replace("</strong>", ""))


def test_it_leads_to_an_e_mail(client):
    assert address_shown(client, "mailto:a@b.example?subject=x")[0] == 200


@pytest.mark.parametrize(
    "address",
    [
        "",
        "x",
        "/endpoints/",
        "//evil.example",
        "javascript:alert(1)",
        "JaVaScRiPt:alert(1)",
        "java\tscript:alert(1)",
        " javascript:alert(1)",
        "data:text/html,x",
        "file:///etc/passwd",
        "https:",
        "https:///x",
        "https://[evil",
        "https://a.example:99999/",
        "https://b\u0430nk.example/",
        "https://bank.example\\@evil.example/",
        "https://a.example/\u202egpj.exe",
        "https://a.example/\nx",
        "https://a.example/" + "a" * 5000,
        "mailto:nobody",
        "tel:1",
    ],
)
def test_what_is_no_whole_readable_address_is_not_offered(client, address):
    assert address_shown(client, address) == (400, "", "")


def test_it_needs_no_account_and_changes_nothing(client):
    assert client.post(reverse("leave"), {"to": "https://a.example"}).status_code == 405


def test_every_link_of_an_answer_arrives(client):
    html = markdown.answer("[x](https://b\u00fccher.example/a%20b?q=\u00e9&r=[1])")
    response = client.get(re.search(r'href="([^"]+)"', html)[1])
    assert "<strong>xn--bcher-kva.example</strong>/a%20b?q=%C3%A9&amp;r=%5B1%5D" in response.content.decode()


def test_each_block_of_code_can_be_copied():
    html = answer_html(
        Message(html=markdown.answer("```py\npass\n```\n\nand\n\n    x\n\n[y](https://a.example '</code></pre>')"))
    )
    assert (
        html.count('data-action="clipboard#copy"') == html.count('<div class="code" data-controller="clipboard"') == 2
    )
    assert html.count('<pre class="code" tabindex="0" data-clipboard-target="source"') == 2
    assert re.findall(r"</pre>(</div>)?", html.partition("<p><a")[0]) == ["</div>"] * 2


def test_what_shows_code_as_text_gets_no_button():
    assert "data-action" not in answer_html(Message(html=markdown.answer('`<pre class="code">`')))
