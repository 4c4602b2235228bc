import gzip
import re

import pytest

from console.presenters.health.documents import documents, render_document

LINK = re.compile(r'href="([^"]*)"')
IDENTIFIER = re.compile(r' id="([^"]*)"')
PAGES = {slug: str(render_document(path)[1]) for slug, path in documents().items()}
# The page around a document takes the rest of the 15 kB that a second visit to any page may take.
# Figures are read by few.
LARGEST, LARGEST_OF_FIGURES = 9_500, 11_500


def places() -> set[str]:
    """Every address that a link of a document may lead to."""
    addresses = {f"/settings/about/{slug}/": IDENTIFIER.findall(html) for slug, html in PAGES.items()}
    return {*addresses, *(f"{address}#{name}" for address, names in addresses.items() for name in names)}


@pytest.mark.parametrize("slug", PAGES)
def test_each_link_leads_somewhere(slug):
    inside = [link for link in LINK.findall(PAGES[slug]) if not link.startswith("https://")]
    full = [f"/settings/about/{slug}/{link}" if link.startswith("#") else link for link in inside]
    assert [link for link in full if link not in places()] == []


@pytest.mark.parametrize("slug", PAGES)
def test_no_two_headings_have_one_name(slug):
    names = IDENTIFIER.findall(PAGES[slug])
    assert len(names) == len(set(names))


@pytest.mark.parametrize("slug", PAGES)
def test_it_is_quickly_there(slug):
    assert len(gzip.compress(PAGES[slug].encode())) <= (LARGEST_OF_FIGURES if slug == "performance" else LARGEST)


def test_a_heading_has_the_name_that_github_gives_it():
    assert '<h2 id="files-without-a-shared-disk-files_url">' in PAGES["containers"]
    assert '<h2 id="https-composetlsyml">' in PAGES["containers"]


def test_a_link_to_a_section_of_another_document():
    assert 'href="/settings/about/spending/#prices-and-costs"' in PAGES["google-cloud"]


def test_a_decision_record_is_read_in_the_console():
    assert 'href="/settings/about/adr/0003-failed-sign-ins/"' in PAGES["access"]
    assert documents()["adr/0003-failed-sign-ins"].name == "0003-failed-sign-ins.md"
