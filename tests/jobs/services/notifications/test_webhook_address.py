"""Where a webhook may lead. No name is looked up here: a resolver stands in for the network's."""

from ipaddress import ip_address

import httpx
import pytest

from jobs.services.notifications.webhook_address import BadAddress, NotPublic, addresses, is_public, parse_url

pytestmark = pytest.mark.threat("T8")
PUBLIC = [
    "8.8.8.8",
    "1.1.1.1",
    "93.184.216.34",
    "2606:4700::1111",
    "2a00:1450:4001::5",
    "::ffff:8.8.8.8",
    "64:ff9b::808:808",
]
OTHERS = [
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "10.255.255.255",
    "100.64.0.1",
    "100.127.255.254",
    "127.0.0.1",
    "127.1.2.3",
    "169.254.0.1",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.1",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.0.1",
    "192.168.255.255",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.7",
    "203.0.113.9",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:a9fe:a9fe",
    "::ffff:0:127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b::10.0.0.1",
    "64:ff9b:1::1",
    "64:ff9b:1::808:808",
    "100::1",
    "2001::1",
    "2001:0:53aa:64c:0:0:f5ff:fffe",
    "2001:2::1",
    "2001:10::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:a9fe:a9fe::1",
    "2002:808:808::1",
    "fc00::1",
    "fd00:ec2::254",
    "fdff::1",
    "fe80::1",
    "fe80::a9fe:a9fe",
    "febf::1",
    "fec0::1",
    "ff02::1",
    "ff05::2",
    "4000::1",
    "5f00::1",
]
BAD = [
    "hook",
    "example.com",
    "//example.com/x",
    "ftp://example.com/",
    "file:///etc/passwd",
    "gopher://example.com/",
    "https://",
    "https:///x",
    "https://user@example.com/",
    "https://user:word@example.com/",
    "https://example.com#@127.0.0.1/",
    "http://example.com/",
    "https://example.com:99999/",
    "https://example.com:x/",
    "https://[::1/",
    "https://example.com:0/",
    "javascript:alert(1)",
    "data:text/html,x",
    "https://127.0.0.1/",
    "https://[::1]/",
    "https://[::ffff:127.0.0.1]/",
    "https://[::ffff:a9fe:a9fe]/",
    "https://169.254.169.254/latest/",
    "https://10.0.0.1:8443/",
    "https://[fd00:ec2::254]/",
    "https://192.168.1.1/",
    "https://0.0.0.0/",
    "https://[::]/",
    "https://[64:ff9b::7f00:1]/",
]
# What a resolver of the system makes of these, or what a hostile name server says.
NAMES = [
    "localhost", "LOCALHOST", "localhost.", "127.1", "2130706433", "0x7f000001", "0x7f.1", "017700000001", "0",
    "127.0.0.1.nip.io", "metadata.google.internal", "metadata.google.internal.", "a.example",
]  # fmt: skip


def said(*found):
    return lambda host, port: list(found)


@pytest.mark.parametrize("text", PUBLIC)
def test_the_public_internet_is_open(text):
    assert is_public(ip_address(text))


@pytest.mark.parametrize("text", OTHERS)
def test_everything_else_is_not(text):
    assert not is_public(ip_address(text))


@pytest.mark.parametrize("text", BAD)
def test_an_address_that_cannot_be_is_refused_where_it_is_typed(text):
    with pytest.raises(BadAddress):
        parse_url(text)


TAKEN = ["https://example.com", "https://example.com:8443/a?b=c", "https://8.8.8.8/", "https://한국.kr/"]


@pytest.mark.parametrize("text", TAKEN)
def test_others_are_taken(text):
    assert parse_url(f" {text} ").scheme == "https"


@pytest.mark.parametrize("host", NAMES)
@pytest.mark.parametrize("found", ["127.0.0.1", "169.254.169.254", "::ffff:10.0.0.1", "fe80::1%eth0"])
def test_a_name_that_stands_for_another_place_is_refused(host, found):
    with pytest.raises(NotPublic):
        addresses(httpx.URL(f"https://{host}/"), said("8.8.8.8", found))


def test_what_was_checked_is_what_is_connected_to():
    asked = []

    def resolve(host, port):
        asked.append((host, port))
        return ["8.8.8.8", "2606:4700::1111"] if len(asked) == 1 else ["127.0.0.1"]

    assert addresses(parse_url("https://example.com/x"), resolve) == ["8.8.8.8", "2606:4700::1111"]
    assert asked == [("example.com", 443)]


def test_a_number_is_not_looked_up():
    assert addresses(parse_url("https://8.8.8.8:444/"), said("127.0.0.1")) == ["8.8.8.8"]


def test_an_installation_may_allow_its_own_network(settings):
    settings.WEBHOOK_PRIVATE = True
    assert addresses(parse_url("http://10.0.0.1/")) == ["10.0.0.1"]
    assert addresses(parse_url("http://hook.internal/"), said("192.168.0.7")) == ["192.168.0.7"]
