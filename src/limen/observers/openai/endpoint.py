"""Where requests go: `base_url` taken apart."""

import ipaddress
from urllib.parse import urlsplit

from limen.errors import InputError


def find(base_url: str) -> tuple[str, str, bool]:
    """Return the URL of the chat endpoint, its host, and whether that is this machine."""
    right = "Give it as https://HOST/v1 or http://HOST:PORT/v1."
    try:
        split = urlsplit(base_url.strip())
        port, host = split.port, split.hostname or ""
    except ValueError:
        raise InputError(f"Observer 'openai': base_url is no URL. {right}") from None
    if "@" in split.netloc or split.query or split.fragment:
        raise InputError(
            f"Observer 'openai': base_url holds credentials or a query. {right} The key belongs into the "
            "environment variable that api_key_env names."
        )
    if split.scheme not in ("http", "https") or not host:
        raise InputError(f"Observer 'openai': base_url {base_url!r} is no web address. {right}")
    path = split.path.rstrip("/").removesuffix("/chat/completions")
    url = f"{split.scheme}://{split.netloc}{path}/chat/completions"
    try:
        local = ipaddress.ip_address(host).is_loopback
    except ValueError:
        local = host == "localhost"
    bare = f"[{host}]" if ":" in host else host
    return url, f"{bare}:{port}" if port else bare, local
