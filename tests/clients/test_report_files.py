"""Report links are a vendor's text: where they may lead, and what counts as a whole PDF."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from urllib.parse import urlsplit

import pytest
import requests
from lever_imocha.clients.connections import is_public
from lever_imocha.clients.report_files import ReportFiles
from lever_imocha.errors import ReportFileError, Retry, VendorDownError

from include.sandbox.pdf import report_pdf
from tests.clients.conftest import Answer, Vendor, api_client, serve_answers

PDF = report_pdf("Report") + b"\n"
REAL_API = "https://apiv3.imocha.example/v3"


def files(base_url: str, hosts: Collection[str] = ()) -> ReportFiles:
    return ReportFiles(api_client("iMocha", base_url, requests.Session()), requests.Session(), hosts)


def downloaded(files: ReportFiles, url: str) -> bytes:
    with files.download(url, 1_000_000) as content:
        return content.read()


def moved(target: str) -> Answer:
    return 302, {"Location": target}, ""


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.215.14", True),
        ("2606:2800:21f:cb07::1", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("100.64.0.1", False),
        ("169.254.169.254", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("240.0.0.1", False),
        ("255.255.255.255", False),
        ("::1", False),
        ("::", False),
        ("fe80::1%eth0", False),
        ("fd00:ec2::254", False),
        ("ff0e::1", False),
        ("::ffff:10.0.0.1", False),
        ("::ffff:93.184.215.14", True),
        ("64:ff9b::7f00:1", False),
        ("2002:7f00:1::", False),
        ("fec0::1", False),
        ("64:ff9b:1::7f00:1", False),
        ("::7f00:1", False),
    ],
)
def test_which_addresses_are_public(address: str, public: bool) -> None:
    assert is_public(address) is public


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1", "2130706433", "0x7f000001", "0.0.0.0", "[::1]"])
def test_a_link_into_our_own_network_is_not_followed(vendor: Vendor, host: str) -> None:
    """Four of them are names to us, which the operating system turns into an address: the peer is what counts."""
    vendor.answers = [(200, {}, PDF)]
    with pytest.raises(ReportFileError, match="inside our own network"):
        downloaded(files(REAL_API), f"https://{host}:{urlsplit(vendor.url).port}/report.pdf")
    assert not vendor.received


@pytest.fixture
def proxy() -> Iterator[Vendor]:
    """A proxy, which would look each name up itself and lets nobody through."""
    for vendor in serve_answers():
        vendor.answers = [(403, {}, "")] * 9
        yield vendor


def through(proxy: Vendor, hosts: Collection[str] = ()) -> ReportFiles:
    session = requests.Session()
    session.trust_env = False
    session.proxies["https"] = proxy.url
    return ReportFiles(api_client("iMocha", REAL_API, requests.Session()), session, hosts)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1\\@public.example",
        "%31%32%37.0.0.1",
        "127.0.0.1.",
        "127.1",
        "2130706433",
        "0x7f000001",
        "017700000001",
        "localhost.",
        "\uff11\uff12\uff17.0.0.1",
        "127\u30020\u30020\u30021",
        "[fec0::1]",
        "[::ffff:10.0.0.1]",
    ],
)
def test_what_is_our_own_network_is_no_matter_for_a_proxy(proxy: Vendor, host: str) -> None:
    with pytest.raises(ReportFileError):
        downloaded(through(proxy), f"https://{host}/report.pdf")
    assert not proxy.received


@pytest.mark.parametrize(
    ("link", "asked"),
    [
        ("https://good.example/r", ["good.example:443"]),
        ("https://GOOD.example.:444/r", ["good.example.:444"]),
        ("https://b\u00fccher.example/r", ["xn--bcher-kva.example:443"]),
        ("https://evil.example\\@good.example/r", []),
        ("https://good.example@evil.example/r", []),
        ("https://good.example.evil.example/r", []),
    ],
)
def test_the_host_that_is_checked_is_the_one_that_is_asked_for(proxy: Vendor, link: str, asked: list[str]) -> None:
    with pytest.raises((ReportFileError, VendorDownError)):
        downloaded(through(proxy, ["good.example", "B\u00fccher.example"]), link)
    assert [sent.target for sent in proxy.received] == asked


@pytest.mark.parametrize("target", ["http://[", "//[::1", "https://x:y/", "https://..x/", "\xff://", "https:///"])
def test_a_redirect_to_what_is_no_address_is_an_error_of_this_report(vendor: Vendor, target: str) -> None:
    vendor.answers = [moved(target)]
    with pytest.raises((ReportFileError, VendorDownError)):
        downloaded(files(vendor.url), vendor.url)


@pytest.mark.parametrize(
    "link", ["http://93.184.215.14/r.pdf", "ftp://x/", "file:///etc/passwd", "//x/y", "http://[", ""]
)
def test_links_are_https_only(link: str) -> None:
    with pytest.raises(ReportFileError, match="https://"):
        downloaded(files(REAL_API), link)


def test_each_hop_is_checked(vendor: Vendor) -> None:
    vendor.answers = [moved("ftp://127.0.0.1/x")]
    with pytest.raises(ReportFileError, match="https://"):
        downloaded(files(vendor.url), f"{vendor.url}/r.pdf")
    vendor.answers = [moved(vendor.url.replace("127.0.0.1", "localhost"))]
    with pytest.raises(ReportFileError, match="report_hosts"):
        downloaded(files(vendor.url, ["127.0.0.1"]), f"{vendor.url}/r.pdf")
    assert len(vendor.received) == 2


def test_a_host_that_is_named_is_followed_in_any_case(vendor: Vendor) -> None:
    vendor.answers = [(200, {}, PDF)]
    assert downloaded(files(vendor.url, ["LOCALHOST"]), vendor.url.replace("127.0.0.1", "localhost")) == PDF


def test_five_redirects_are_followed(vendor: Vendor) -> None:
    vendor.answers = [*[moved("/next")] * 5, (200, {}, PDF)]
    assert downloaded(files(vendor.url), vendor.url) == PDF
    vendor.received.clear()
    vendor.answers = [*[moved("/next")] * 6, (200, {}, PDF)]
    with pytest.raises(ReportFileError, match="more than 5 times"):
        downloaded(files(vendor.url), vendor.url)
    assert len(vendor.received) == 6


@pytest.mark.parametrize("before", [b"", b"\n", b"\xef\xbb\xbf", b"<!-- x -->\r\n", b"x" * 1019])
def test_what_stands_before_the_pdf_is_left_out(vendor: Vendor, before: bytes) -> None:
    vendor.answers = [(200, {}, before + PDF)]
    assert downloaded(files(vendor.url), vendor.url) == PDF


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"x" * 1024 + PDF, "is not a PDF"),
        (b"<html>sign in</html>", "is not a PDF"),
        (b"", "is not a PDF"),
        (PDF[:-7], "cut short"),
        (PDF + b"x" * 1024, "cut short"),
        (PDF[:-7] + b"x" * 200_000, "cut short"),
    ],
    ids=["too late", "a page", "nothing", "without its end", "an end too early", "long without its end"],
)
def test_what_is_no_whole_pdf_is_read_again_later(vendor: Vendor, content: bytes, said: str) -> None:
    vendor.answers = [(200, {}, content)]
    with pytest.raises(ReportFileError, match=said) as caught:
        downloaded(files(vendor.url), vendor.url)
    assert caught.value.retry is Retry.SOON
