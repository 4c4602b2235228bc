import pytest
from django.core.exceptions import ImproperlyConfigured

from console.connections import mail

FROM = "console@example.com"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("smtps://me:p%40ss@mail.example", ("mail.example", 465, "me", "p@ss", True, False)),
        ("smtp+tls://mail.example", ("mail.example", 587, "", "", False, True)),
        ("smtp://127.0.0.1:2525", ("127.0.0.1", 2525, "", "", False, False)),
    ],
)
def test_an_address_is_taken_apart(url, expected):
    found = mail(url, FROM)
    names = ("HOST", "PORT", "HOST_USER", "HOST_PASSWORD", "USE_SSL", "USE_TLS")
    assert tuple(found[f"EMAIL_{name}"] for name in names) == expected


def test_without_an_address_there_is_no_host():
    assert mail("", "")["EMAIL_HOST"] == ""


@pytest.mark.parametrize(("url", "sender"), [("mail.example", FROM), ("https://mail.example", FROM), ("smtp://x", "")])
def test_a_wrong_one_says_what_to_write(url, sender):
    with pytest.raises(ImproperlyConfigured, match="Enter|must look like"):
        mail(url, sender)
