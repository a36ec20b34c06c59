"""The proxy that the environment names: the two wires read it here, since their libraries read it each in its own way.

``hubspot-api-client`` reads none at all; ``requests`` would send calls to this machine through one as well.
"""

from __future__ import annotations

from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from leadup.kit import is_loopback


def proxy_for(url: str) -> str | None:
    """Return the proxy that calls to an address go through, by its URL; None: straight there.

    It is what ``HTTPS_PROXY`` or ``ALL_PROXY`` name, or the system's settings where it
    has some. Hosts that ``NO_PROXY`` names are called straight, and so is this machine.
    """
    parts = urlsplit(url)
    if is_loopback(parts.hostname or "") or proxy_bypass(parts.netloc):
        return None
    known = getproxies()
    proxy = known.get(parts.scheme) or known.get("all")
    return proxy if not proxy or "://" in proxy else f"http://{proxy}"
