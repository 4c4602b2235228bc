import gzip
import re

import brotli
import pytest
from django.core.management import call_command
from django.template import Context, Template


def test_a_page_is_compressed_for_who_takes_it(client):
    plain = client.get("/accounts/sign-in/")
    packed = client.get("/accounts/sign-in/", headers={"Accept-Encoding": "gzip"})
    assert ("Content-Encoding" in plain.headers, packed["Content-Encoding"]) == (False, "gzip")
    assert b"</html>" in gzip.decompress(packed.content)


@pytest.fixture
def collected(settings, tmp_path):
    settings.STATIC_ROOT = tmp_path
    call_command("collectstatic", interactive=False, verbosity=0)
    return tmp_path


def test_collected_files_are_named_by_content_and_lie_there_compressed(collected):
    url = Template("{% load static %}{% static 'console.css' %}").render(Context())
    name = url.removeprefix("/static/")
    assert re.fullmatch(r"console\.[0-9a-f]{12}\.css", name)
    content = (collected / name).read_bytes()
    assert gzip.decompress((collected / f"{name}.gz").read_bytes()) == content
    assert brotli.decompress((collected / f"{name}.br").read_bytes()) == content


def test_scripts_import_each_other_by_those_names(collected):
    [script] = collected.glob("console.*.js")
    imported = re.findall(r'(?:from |import\()"\./([^"]+)"', script.read_text())
    assert [name for name in imported if not re.search(r"\.[0-9a-f]{12}\.js$", name)] == []
    assert [name for name in imported if not (collected / name).is_file()] == []


def test_plain_names_serve_until_then():
    assert Template("{% load static %}{% static 'console.css' %}").render(Context()) == "/static/console.css"
