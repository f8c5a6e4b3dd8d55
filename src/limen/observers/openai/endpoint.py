"""Where requests go: `base_url` taken apart, and the proxy of the environment on the way."""

import ipaddress
import re
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

import orjson

from limen.errors import FatalObserverError, InputError
from limen.observers.openai.secret import secret_place

_RIGHT = "Give it as https://HOST/v1 or http://HOST:PORT/v1."
FILE = "@"  # before the name of a file of addresses
LARGEST = 1 << 20  # bytes of such a file
MOST = 256  # endpoints of one model
LOOPBACK = ("localhost", "127.0.0.1", "::1")  # names of one host
PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A chat endpoint.

    Attributes:
        url: of the endpoint itself, with its query.
        host: with its port, where one is given.
        path: of `base_url`, without a slash at its end.
        query: what stands after the question mark, in order of names; "" for most.
        local: whether it is this machine.
        models: the list of its models.
    """

    url: str
    host: str
    path: str
    query: str
    local: bool
    models: str = ""

    @property
    def place(self) -> str:
        """Host, path and query, as a run keeps them."""
        return place_of(self.host, self.path, self.query)

    @property
    def encrypted(self) -> bool:
        """Whether nobody on the way can read what is sent."""
        return self.url.startswith("https:")


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy that the environment names; its user and password show themselves to nobody.

    Attributes:
        url: without user and password.
        login: user and password, where it asks for them.
    """

    url: str
    login: tuple[str, str] | None = None

    @property
    def host(self) -> str:
        """Its host with its port."""
        return urlsplit(self.url).netloc

    def headers(self) -> dict[str, str]:
        """Return the header with its login (RFC 7617, UTF-8), or none where it asks for none."""
        if self.login is None:
            return {}
        return {"Proxy-Authorization": f"Basic {b64encode(':'.join(self.login).encode()).decode()}"}

    def __repr__(self) -> str:
        return f"Proxy({self.url!r})"


def find(base_url: str, ending: str = "/chat/completions", kind: str = "openai") -> Endpoint:
    """Return where the endpoint is.

    Args:
        base_url: up to and with its version.
        ending: of the path, behind the version.
        kind: of the observer, for messages.

    Raises:
        InputError: it is not a web address, or holds credentials.
    """
    try:
        split = urlsplit(base_url.strip())
        port, host = split.port, split.hostname or ""
    except ValueError:
        raise InputError(f"Observer {kind!r}: base_url is not a URL. {_RIGHT}") from None
    query = sorted(parse_qsl(split.query, keep_blank_values=True))
    if "@" in split.netloc or split.fragment or secret_place("path", split.path) or secret_place("query", dict(query)):
        raise InputError(
            f"Observer {kind!r}: base_url holds credentials, or what looks like a key. {_RIGHT} The key belongs in "
            "the environment variable that api_key_env names, or into a header: "
            """headers = {"api-key" = "env:NAME"}. A query may stand there (?api-version=2024-10-21)."""
        )
    if re.search(r"\s", base_url.strip()):
        raise InputError(f"Observer {kind!r}: base_url has white space in it. {_RIGHT}")
    if split.scheme not in PORTS or not host:
        raise InputError(f"Observer {kind!r}: base_url {base_url!r} is not a web address. {_RIGHT}")
    path = split.path.rstrip("/").removesuffix(ending)
    asked = urlencode(query)
    root, behind = f"{split.scheme}://{split.netloc}{path}", f"{'?' * bool(asked)}{asked}"
    try:
        local = ipaddress.ip_address(host).is_loopback
    except ValueError:
        local = host == "localhost"
    bare = f"[{host}]" if ":" in host else host
    host = f"{bare}:{port}" if port else bare
    return Endpoint(f"{root}{ending}{behind}", host, split.path.rstrip("/"), asked, local, f"{root}/models{behind}")


def place_of(host: str, path: str, query: str = "") -> str:
    """Return where an endpoint is, as a run keeps it.

    Args:
        host: with its port.
        path: of the base URL.
        query: "" for most.
    """
    return f"{host}{path}{'?' * bool(query)}{query}"


def only(given: str | Sequence[str], kind: str) -> str:
    """Return the one base URL that is given, in any of the ways of `urls`.

    Args:
        given: as a setting has it.
        kind: of the observer, for messages.

    Raises:
        InputError: several are given, or what `urls` raises.
    """
    found = urls(given, kind)
    if len(found) > 1:
        raise InputError(f"{kind}: takes one endpoint, and base_url names {len(found)}; several are for openai:.")
    return found[0]


def urls(given: str | Sequence[str], kind: str = "openai") -> tuple[str, ...]:
    """Return the base URLs that are given: one, several, a JSON list of them, or those of a file (@FILE).

    A text or a line of a file may hold several, with blanks or commas between.

    Args:
        given: as a setting has it.
        kind: of the observer, for messages.

    Raises:
        InputError: none is given, a file cannot be read, one of them is no web address, or one is given twice.
    """
    lines: list[tuple[str, str]] = []  # addresses, and where they stand
    for one in _listed(given):
        if one.strip().startswith(FILE):
            lines += _of_file(Path(one.strip().removeprefix(FILE)).expanduser())
        elif "://" not in one and Path(one).is_file():
            raise InputError(f"Observer {kind!r}: base_url {one!r} is a file. Put an @ before it: {FILE}{one}.")
        else:
            lines.append((one.strip(), ""))
    entries = [(url, where) for line, where in lines for url in re.split(r"[\s,]+(?=https?://)", line)]
    if not entries:
        raise InputError(f"Observer {kind!r}: base_url names no endpoint. {_RIGHT}")
    if len(entries) > MOST:
        raise InputError(f"Observer {kind!r}: base_url names {len(entries)} endpoints. Give {MOST} at most.")
    seen: dict[str, str] = {}
    for url, where in entries:
        if len(entries) == 1 and not where:
            break  # `find` says what is wrong with it
        try:
            place = find(url, kind=kind)
        except InputError as error:
            raise InputError(f"{where}{error}") from None
        if (server := _server(place)) in seen:
            before = seen[server]
            named = f"{place.place} twice" if before == place.place else f"{before} and {place.place}, one place"
            raise InputError(
                f"{where}Observer {kind!r}: base_url names {named}, and one server is one endpoint. Take "
                "one of the two out; to ask it more at a time, raise -O concurrency."
            )
        seen[server] = place.place
    return tuple(url for url, _ in entries)


def _listed(given: str | Sequence[str]) -> Sequence[str]:
    """Return what is given as a list, which on the command line may be one of JSON."""
    if not isinstance(given, str):
        return given
    try:
        found = orjson.loads(given)
    except orjson.JSONDecodeError:
        return (given,)
    return found if isinstance(found, list) and all(isinstance(one, str) for one in found) else (given,)


def _server(place: Endpoint) -> str:
    """Return what two names of one place have in common: of the host, of this machine and of the port."""
    split = urlsplit(place.url)
    host = LOOPBACK[0] if split.hostname in LOOPBACK else split.hostname
    return f"{split.scheme}://{host}:{split.port or PORTS[split.scheme]}{split.path}?{split.query}"


def _of_file(path: Path) -> list[tuple[str, str]]:
    """Return the addresses of a file, one a line, with where each stands; what follows a # is a comment."""
    right = "Give a text file with one base URL a line; a line may begin with #."
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}). {right}") from None
    if len(content) > LARGEST:
        raise InputError(f"{path}: is larger than {LARGEST >> 20} MB. {right}")
    try:
        lines = content.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise InputError(f"{path}: is not text (UTF-8). {right}") from None
    bare = [(number, re.sub(r"(?:^|\s)#.*", "", line).strip()) for number, line in enumerate(lines, start=1)]
    found = [(line, f"{path} line {number}: ") for number, line in bare if line]
    if not found:
        raise InputError(f"{path}: names no endpoint. {right}")
    return found


def proxy(place: Endpoint) -> Proxy | None:
    """Return the proxy that HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY say leads to the endpoint, if any.

    This machine is never asked for by way of another.

    Raises:
        FatalObserverError: it is of a kind that cannot be used.
    """
    from urllib.request import getproxies_environment, proxy_bypass

    split = urlsplit(place.url)
    known = getproxies_environment()
    if place.local or proxy_bypass(split.netloc) or _within(split.hostname or "", known.get("no", "")):
        return None
    given = known.get(split.scheme) or known.get("all") or ""
    if not given:
        return None
    variable = f"{split.scheme.upper()}_PROXY" if known.get(split.scheme) else "ALL_PROXY"
    advice = f"Set {variable} to http://HOST:PORT, or add {split.hostname} to NO_PROXY."
    try:
        way = urlsplit(given if "://" in given else f"http://{given}")
        port = f":{way.port}" if way.port else ""
    except ValueError:
        raise FatalObserverError("proxy", f"{variable} is not a URL. {advice}") from None
    if way.scheme not in ("http", "https") or not way.hostname:
        raise FatalObserverError("proxy", f"{variable} names a proxy that limen cannot use ({way.scheme}). {advice}")
    host = f"[{way.hostname}]" if ":" in way.hostname else way.hostname
    login = (unquote(way.username or ""), unquote(way.password or "")) if "@" in way.netloc else None
    return Proxy(f"{way.scheme}://{host}{port}", login)


def _within(host: str, exempt: str) -> bool:
    """Say whether an address lies in one of the networks of NO_PROXY (10.0.0.0/8), which urllib does not know."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    for entry in exempt.split(","):
        try:
            if "/" in entry and address in ipaddress.ip_network(entry.strip(), strict=False):
                return True
        except ValueError:
            continue  # a name, or nothing that anybody knows
    return False
