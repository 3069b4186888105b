import pytest

from videoalign.preferences.choices.page_origin import refusal


def asked(host: str, origin: str | None = None, **more: str) -> str | None:
    headers = {"Host": host, **({"Origin": origin} if origin else {}), **more}
    return refusal(headers, trusted=("http://studio.example:3000",))


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("127.0.0.1:8188", "http://127.0.0.1:8188"),
        ("localhost:8188", "http://localhost:8188"),
        ("[::1]:8188", "http://[::1]:8188"),
        ("192.168.1.20:8188", "http://192.168.1.20:8188"),
        ("workstation:8188", "http://workstation:8188"),
        ("workstation.local:8188", "http://Workstation.local:8188"),
        ("192.168.1.20", "http://192.168.1.20"),
        ("comfy.example.com", "https://comfy.example.com"),
        ("comfy.example.com:443", "https://comfy.example.com"),
        ("127.0.0.1:8188", "http://studio.example:3000"),
        ("127.0.0.1:8188", None),
    ],
)
def test_the_servers_page_and_programs_may_write(host, origin):
    assert asked(host, origin) is None


def test_a_page_behind_a_proxy_that_changes_the_host_may_write():
    behind = {"X-Forwarded-Host": "comfy.example.com"}
    assert asked("10.0.0.5:8188", "https://comfy.example.com", **behind) is None
    assert asked("10.0.0.5:8188", "https://comfy.example.com")
    assert asked("10.0.0.5:8188", "https://evil.example", **behind)


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("127.0.0.1:8188", "https://evil.example"),
        ("192.168.1.20:8188", "https://evil.example"),
        ("127.0.0.1:8188", "null"),
        ("127.0.0.1:8188", "http://127.0.0.1:3000"),  # another server of this computer
        ("127.0.0.1:8188", "https://127.0.0.1"),
        ("127.0.0.1:8188", "http://localhost:8188"),
        ("127.0.0.1:8188", "http://127.0.0.1:99999"),
        ("127.0.0.1:8188", "http://studio.example"),
        ("", "http://127.0.0.1:8188"),
    ],
)
def test_a_page_of_another_site_may_not(host, origin):
    assert "not of this server" in asked(host, origin)


@pytest.mark.parametrize("name", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "evil.example."])
def test_a_public_name_that_leads_here_may_not(name):
    assert "public name without HTTPS" in asked(f"{name}:8188", f"http://{name}:8188")
    forged = {"X-Forwarded-Host": "localhost:8188", "X-Forwarded-Proto": "https"}
    assert asked(f"{name}:8188", f"http://{name}:8188", **forged)


def test_a_browsers_word_for_another_site_counts_without_an_origin():
    assert "another site" in asked("127.0.0.1:8188", **{"Sec-Fetch-Site": "cross-site"})
    assert asked("127.0.0.1:8188", "http://127.0.0.1:8188", **{"Sec-Fetch-Site": "same-origin"}) is None
