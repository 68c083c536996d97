"""What is taken for personal data, and what is not."""

from __future__ import annotations

import sys

import pytest

from costlens_policy.errors import InputError
from costlens_policy.rewrites import RewriteError
from tests.rewrites.making import prompt, rewritten

FOUND = {
    "email": [
        ("write to bob@example.com please", "write to [email] please"),
        ("<first.last+tag@mail.example.co.uk>", "<[email]>"),
        ("mailto:bob@example.com?subject=x", "mailto:[email]?subject=x"),
        ("o'brien@example.ie", "[email]"),
        ("jürgen@müller.de, иван@почта.рф", "[email], [email]"),
        ("请联系bob@example.com谢谢", "请联系[email]谢谢"),
        ("a@b.co,c@d.org;e@f.net", "[email],[email];[email]"),
        ('{"text": "hi\\nbob@example.com"}', '{"text": "hi\\n[email]"}'),
        ("bob@example.com.", "[email]."),
        ("bob [at] example [dot] com, please", "[email], please"),
        ("bob(at)example.com", "[email]"),
        ("bob {AT} mail.example (dot) co.uk", "[email]"),
        ("bob[@]example.com or bob@example[.]com", "[email] or [email]"),
        ("b.o.b@example (punkt) de", "[email]"),
        ("mailto:bob%40example.com?subject=x", "mailto:[email]?subject=x"),
        ("https://x.org/?who=bob%40example%2Ecom&a=1", "https://x.org/?who=[email]&a=1"),
        ("bob&#64;example.com, bob&#x40;example&period;com, bob&commat;example.com", "[email], [email], [email]"),
        ('{"to": "bob\\u0040example.com"}', '{"to": "[email]"}'),
        ("bob\uff20example.com bo\u200bb@example.com bob@exam\xadple.com", "[email] [email] [email]"),
        ("\uff42\uff4f\uff42@example.com", "[email]"),
        ("\U0001d41b\U0001d428\U0001d41b@example\u3002com", "[email]"),
        ("bo\u0301b@example\u034f.com", "[email]"),
        ("\u202ebob@example.com\u202c", "\u202e[email]\u202c"),
    ],
    "phone": [
        ("call +49 30 1234567 now", "call [phone] now"),
        ("+1-212-555-0123", "[phone]"),
        ("+1 (212) 555-0123", "[phone]"),
        ("+12125550123", "[phone]"),
        ("tel:+442079460958", "tel:[phone]"),
        ("+44 (0)20 7946 0958", "[phone]"),
        ("0049 30 1234567", "[phone]"),
        ("(212) 555-0123", "[phone]"),
        ("212-555-0123 or 212.555.0123", "[phone] or [phone]"),
        ("1-800-555-0199", "[phone]"),
        ("030 1234567", "[phone]"),
        ("030/1234567", "[phone]"),
        ("(030) 123 45 67", "[phone]"),
        ("(030 1234567)", "([phone])"),
        ("0171-2345678", "[phone]"),
        ("01 23 45 67 89", "[phone]"),
        ("01.23.45.67.89", "[phone]"),
        ("020 7946 0958", "[phone]"),
        ("03-1234-5678", "[phone]"),
        ("010-1234-5678", "[phone]"),
        ("0412 345 678", "[phone]"),
        ("098765 43210", "[phone]"),
        ("(11) 91234-5678", "[phone]"),
        ("138 1234 5678", "[phone]"),
        ("+7 (495) 123-45-67", "[phone]"),
        ("+49 30 1234567 2024-01-31", "[phone] 2024-01-31"),
        ("030 1234567 and 030 7654321", "[phone] and [phone]"),
        ("030 1234567 030 7654321", "[phone] [phone]"),
        ("phone: 07911123456", "phone: [phone]"),
        ('{"phone": "2125550123"}', '{"phone": "[phone]"}'),
        ("Bob,030 1234567,Berlin", "Bob,[phone],Berlin"),
        ("7 030 1234567", "7 [phone]"),
        ("+49\u2007(30)\u20111234\u00a0567", "[phone]"),
        ("\uff0b\uff14\uff19 30 123\u200b4567", "[phone]"),
        ("(212)\u202f555\u20120123", "[phone]"),
        ("+\u0664\u0669 30 1234567", "[phone]"),
    ],
    "credit_card": [
        ("4111 1111 1111 1111", "[credit_card]"),
        ("4242424242424242", "[credit_card]"),
        ("card 5555-5555-5555-4444, exp 12/29", "card [credit_card], exp 12/29"),
        ("3782 822463 10005", "[credit_card]"),
        ("378282246310005", "[credit_card]"),
        ("6011111111111117 and 3530111333300000", "[credit_card] and [credit_card]"),
        ("30569309025904", "[credit_card]"),
        ("4111 1111 1111 1111 123", "[credit_card] 123"),
        ("4111 1111 1111 1111 12/29", "[credit_card] 12/29"),
        ("4111\xa01111\xa01111\xa01111", "[credit_card]"),
        ("4111\u20121111\u20121111\u20131111", "[credit_card]"),
        ("4111\u200b1111\u200b1111\u200b1111", "[credit_card]"),
        ("x\u200b4111 1111 1111 1111", "x\u200b[credit_card]"),
        ("1234 5678 4111 1111 1111 1111 9876", "1234 5678 [credit_card] 9876"),
    ],
    "iban": [
        ("DE89 3704 0044 0532 0130 00", "[iban]"),
        ("GB82WEST12345698765432", "[iban]"),
        ("pay to NL91ABNA0417164300 today", "pay to [iban] today"),
        ("de89370400440532013000", "[iban]"),
        ("FR14 2004 1010 0505 0001 3M02 606 BANQUE", "[iban] BANQUE"),
        ("NO93 8601 1117 947", "[iban]"),
        ("MT84MALT011000012345MTLCAST001S", "[iban]"),
    ],
    "us_ssn": [
        ("SSN 123-45-6789.", "SSN [us_ssn]."),
        ("social security number: 123 45 6789", "social security number: [us_ssn]"),
    ],
    "ipv4": [
        ("ping 192.168.0.1", "ping [ipv4]"),
        ("10.0.0.0/8", "[ipv4]/8"),
        ("http://8.8.8.8:80/", "http://[ipv4]:80/"),
        ("It is 127.0.0.1.", "It is [ipv4]."),
        ("versions run on 10.0.0.1", "versions run on [ipv4]"),
        ("10\u200b.0.0.1, 10.0.0\uff0e1", "[ipv4], [ipv4]"),
        ("a new version. 10.0.0.1 is down, patch 10.0.0.2", "a new version. [ipv4] is down, patch [ipv4]"),
        ("server-10.0.0.1-a", "server-[ipv4]-a"),
        ("from 10.0.0.1 to 10.0.0.9", "from [ipv4] to [ipv4]"),
    ],
    "ipv6": [
        ("fe80::1", "[ipv6]"),
        ("[2001:db8::8a2e:370:7334]:443", "[[ipv6]]:443"),
        ("2001:0db8:85a3:0000:0000:8a2e:0370:7334", "[ipv6]"),
        ("::1 is local", "[ipv6] is local"),
        ("::ffff:192.168.1.1.", "[ipv6]."),
        ("at 2001:db8::1: yes", "at [ipv6]: yes"),
    ],
    "url_credentials": [
        ("postgres://user:secret@db.example.com/x", "postgres://[url_credentials]@db.example.com/x"),
        ("https://u:p@ss@host", "https://[url_credentials]@host"),
        ("redis://:secret@cache:6379", "redis://[url_credentials]@cache:6379"),
    ],
    "api_key": [
        ("sk-proj-abc123DEF456ghi789jkl012", "[api_key]"),
        ("sk-ant-api03-abcdefghij0123456789", "[api_key]"),
        ("ghp_0123456789abcdefghijklmnopqrstuvwxyz", "[api_key]"),
        ("AKIAIOSFODNN7EXAMPLE", "[api_key]"),
        ("xoxb-123456789012-abcdefghij", "[api_key]"),
        ("Authorization: Bearer abcdef0123456789abcdef", "Authorization: Bearer [api_key]"),
        ("api_key=0123456789abcdef0123", "api_key=[api_key]"),
        ('"client_secret": "aB3dE5fG7hI9jK1l"', '"client_secret": "[api_key]"'),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl", "[api_key]"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----", "[api_key]"),
    ],
}

KEPT = {
    "email": ["a @ b", "@app.route", "user@localhost", "git@github.com:owner/name.git", "1@2.3", "lodash@4.17.21"],
    "phone": [
        "2024-01-31", "31.01.2024", "01/02/2024", "01.02.2024 10.30", "2024-01-31 12:30:45", "1234567890",
        "order 0123-456-789", "invoice no. 0123 456 789", "#0123 456 789", "ID: 0123-4567-890", "0.123456789",
        "3.14159265358979", "12,345,678,901", "1 000 000 000", "010.020.030.040", "192.168.100.200",
        "550e8400-e29b-41d4-a716-446655440000", "0101 0101 0101", "0000 0000 0000", "4111 1111 1111 1111",
        "/orders/0123-456-789", "ISBN 978-0-306-40615-7", "5 + 12345678", "x+12345678", "1700000000000", "123-45-6789",
        "01 02 03 04 05 06", "Room 030, floor 12", "$1,234,567.89", "007", "2000-2010", "+0000", "(1998) 123-134",
        '{"time": 0.019904567}', "1\xa0073\xa0741\xa0824", "1 073 741 824", "13:46:07.595000-04:00",
        "Boston 02110-1301",
    ],
    "credit_card": [
        "4111 1111 1111 1112", "1234567890123456", "0.4111111111111111", "1700000000000", "4111-1111-1111-1111-1",
        "411111111111111", "id_4111111111111111x",
    ],
    "iban": ["DE89 3704 0044 0532 0130 01", "XX89370400440532013000", "DE89", "DE893704004405320130001",
             "ba58a006-f24b-f494-5f6e-0c53a8d00000"],
    "us_ssn": ["000-12-3456", "666-12-3456", "912-12-3456", "123-00-4567", "123-45-0000", "1123-45-6789",
               "123-45-6789-1", "839 95 7171"],
    "ipv4": ["256.1.1.1", "1.2.3", "1.2.3.4.5", "v1.2.3.4x", "1.2.3.4000", "version 10.2.14.3",
             "build 1.2.3.4-rc1", "1.2.3.4-SNAPSHOT", "versions 1.2.3.4, 1.2.3.5 and 1.2.3.6", "Version: 1.2.3.4",
             "v 1.2.3.4", "ver. 1.2.3.4", "release=1.2.3.4", "app-1.2.3.4.tar.gz", "pkg==1.2.3.4", "Chrome/120.0.0.0",
             "firmware v1.2.3.4", "see section 1.2.3.4", "\xa7 1.2.3.4", "1.2.3.4+build5", "\u7248\u672c 1.2.3.4",
             "upgrade from version 10.2.14.3 to 10.2.14.5", "oid 1.3.6.1"],
    "ipv6": ["12:30:45", "std::vector", "a::b", "::", "00:1a:2b:3c:4d:5e", "Face::bad", "b[::2]", "18:27:29.8574120"],
    "url_credentials": ["https://example.com:8080/a@b", "ssh://git@github.com", "http://a:1 mail me@x.org"],
    "api_key": ["sk-learn-and-other-libraries", "bearer of responsibilities-and-duties", "risk-0123456789abcdef01"],
}  # fmt: skip


@pytest.mark.parametrize(("kind", "text", "expected"), [(k, *pair) for k, pairs in FOUND.items() for pair in pairs])
def test_personal_data_is_replaced(kind: str, text: str, expected: str) -> None:
    assert rewritten(prompt(text), redact={"kinds": [kind]}).prompt == expected


@pytest.mark.parametrize(("kind", "text"), [(kind, text) for kind, texts in KEPT.items() for text in texts])
def test_what_only_looks_like_it_stays(kind: str, text: str) -> None:
    assert rewritten(prompt(text), redact={"kinds": [kind]}).prompt == text


REGIONAL = [
    ("ES", "llama al 612 345 678 hoy", "llama al [phone] hoy"),
    ("NO", "ring 22 12 34 56", "ring [phone]"),
    ("IN", "98765-43210 or 98765 43211", "[phone] or [phone]"),
    ("DE", "(030) 123456-78", "[phone]"),
    ("US", "call (212) 555 0123 or +34 612 345 678", "call [phone] or [phone]"),
    ("ES", "612\u00a0345\u200b678", "[phone]"),
    ("ES", "12.345.678 euros, 2024-01-31, order 612 345 678, 100 200 300, 612345678", None),
]


@pytest.mark.parametrize(("region", "text", "expected"), REGIONAL)
def test_numbering_plans_of_countries(region: str, text: str, expected: str | None) -> None:
    pytest.importorskip("phonenumbers")
    redact = {"kinds": ["phone"], "regions": [region]}
    assert rewritten(prompt(text), redact=redact).prompt == (text if expected is None else expected)


def test_without_the_library_a_country_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "phonenumbers", None)
    with pytest.raises(InputError, match=r"costlens-policy\[pii\]"):
        rewritten(prompt("x"), redact={"kinds": ["phone"], "regions": ["US"]})
    assert rewritten(prompt("+49 30 1234567"), redact={"kinds": ["phone"]}).prompt == "[phone]"


def test_a_country_that_is_none() -> None:
    pytest.importorskip("phonenumbers")
    with pytest.raises(InputError, match="`XX` in `regions` of `redact` is not a country"):
        rewritten(prompt("x"), redact={"kinds": ["phone"], "regions": ["XX"]})


def test_more_numbers_than_the_library_is_asked_about_fail() -> None:
    pytest.importorskip("phonenumbers")
    with pytest.raises(RewriteError) as caught:
        rewritten(prompt("1234 5678, " * 30_000), redact={"kinds": ["phone"], "regions": ["ES"]})
    assert caught.value.code == "CL954"


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("email", "bob%2540example.com"), ("email", "bob%252540example.com"), ("email", "bob&amp;#64;example.com"),
        ("email", "bob&#64example.com"), ("email", "bob&ZeroWidthSpace;@example.com"),
        ("email", "bob\\x40example.com"), ("email", "bob\\x40example\\x2ecom"),
        ("api_key", "xai-abcdefghijklmnopqrstuvwxyz0123456789"), ("api_key", "pplx-abcdefghijklmnopqrstuvwxyz0123"),
        ("api_key", "nvapi-abcdefghijklmnopqrstuvwxyz0123456789"), ("api_key", "dapi0123456789abcdef0123456789abcdef"),
    ],
)  # fmt: skip
def test_escapes_of_escapes_and_keys_of_further_providers(kind: str, text: str) -> None:
    assert _redacted(f"to {text} now", kind) == f"to [{kind}] now"


@pytest.mark.parametrize(
    "name", ["SSN: ", "ssn=", "SSN#", "social security number ", "Social-Security-No. ", "SSN is "]
)
def test_social_security_numbers_without_hyphens(name: str) -> None:
    assert _redacted(f"his {name}123456789.", "us_ssn") == f"his {name}[us_ssn]."
    assert _redacted(f"his {name}000456789.", "us_ssn") == f"his {name}000456789."
    assert _redacted("order 123456789", "us_ssn") == "order 123456789"


@pytest.mark.parametrize("gap", [" ", "-", "\t", "\n", "\r\n", "-\n", " \n"])
def test_card_numbers_over_several_lines(gap: str) -> None:
    number = gap.join(["4111", "1111", "1111", "1111"])
    assert _redacted(f"card {number}, thanks", "credit_card") == "card [credit_card], thanks"
    assert _redacted(f"4111 1111{gap}1111 1111", "credit_card") == "[credit_card]"


def test_columns_of_numbers_are_no_card() -> None:
    for column in ("4111\n1111\n1111\n1111\n1234", "1234\n4111\n1111\n1111\n1111", "4111\n1111\n1111"):
        assert _redacted(column, "credit_card") == column
    assert _redacted("4111 1111 1111 1111\n123 apples", "credit_card") == "[credit_card]\n123 apples"
    assert _redacted("4111111111111111\n4111111111111111", "credit_card") == "[credit_card]\n[credit_card]"


def _redacted(text: str, kind: str) -> str | None:
    return rewritten(prompt(text), redact={"kinds": [kind]}).prompt


@pytest.mark.parametrize("text", ["C++11 14 17 20", "i++1234567 89"])
def test_two_signs_begin_no_telephone_number(text: str) -> None:
    assert _redacted(text, "phone") == text
