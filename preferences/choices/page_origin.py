"""Whether a request that writes comes from the server's own page: neither from another site, nor from a name that leads here.

A browser says with every POST which page sent it, in the header Origin, which no script can change. A page of another site
says another name than the server's (cross-site request forgery). A page of a public name whose owner has pointed it at
this server's address (DNS rebinding) says the server's name, but by plain HTTP: for HTTPS it has no certificate of this
server.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Mapping
from urllib.parse import urlsplit

_PORTS = {"http": 80, "https": 443}
_PRIVATE = (".localhost", ".local", ".lan", ".home", ".internal", ".home.arpa")  # nobody can register a name in these


def refusal(headers: Mapping[str, str], trusted: Collection[str] = ()) -> str | None:
    """Why a request must not write, or None if it may.

    Args:
        headers: of the request, whatever their case (aiohttp's are).
        trusted: origins ("http://name:8188") that may write although they are other sites or public names.
    """
    origin = headers.get("Origin")
    if headers.get("Sec-Fetch-Site") == "cross-site" and origin not in trusted:
        return "This request comes from a page of another site."
    if origin is None or origin in trusted:  # without it: no page of a browser, but a program
        return None
    sender = _host(origin)
    asked = [_host(f"{urlsplit(origin).scheme}://{headers[name]}") for name in _HOSTS if name in headers]
    if sender is None or sender not in asked:
        return f"This request comes from a page of {origin}, not of this server."
    if urlsplit(origin).scheme != "https" and not _private(sender[0]):
        return (
            f"This page was opened as {origin}, a public name without HTTPS, which any site could use. Open it by the "
            "server's IP address, by the name of the computer without dots, or by HTTPS."
        )
    return None


_HOSTS = (
    "Host",
    "X-Forwarded-Host",
)  # a proxy that changes the first keeps it in the second; no other site may send that


def _host(address: str) -> tuple[str, int | None] | None:
    """Name and port of an address, or None if it has none."""
    try:
        parts = urlsplit(address)
        return (parts.hostname, parts.port or _PORTS.get(parts.scheme)) if parts.hostname else None
    except ValueError:
        return None


def _private(name: str) -> bool:
    """Whether a name cannot belong to a stranger: an IP address, a name without dots, or one of a local network."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return "." not in name.rstrip(".") or name.rstrip(".").endswith(_PRIVATE)
    return True
