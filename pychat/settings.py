"""What the server is started with: environment over file over default.

`configs/pychat.toml` documents every key. A value of the environment is named `PYCHAT_<SECTION>__<KEY>`.
"""

import ipaddress
import os
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta, Struct, field

ENV_PREFIX = "PYCHAT_"


class SettingsError(Exception):
    """Settings that the server cannot start with; the message is one line naming file or variable, key and what
    was expected."""


class Http(Struct, frozen=True):
    listen: str = "127.0.0.1:8080"
    max_connections: Annotated[int, Meta(ge=1, le=1_000_000)] = 65_536
    max_connections_per_address: Annotated[int, Meta(ge=1, le=1_000_000)] = 2_000
    trusted_proxies: tuple[str, ...] = ()


class Edge(Struct, frozen=True):
    enabled: bool = True
    threads: Annotated[int, Meta(ge=0, le=1024)] = 0
    watchdog_sec: Annotated[int, Meta(ge=5, le=86_400)] = 30


class Monitor(Struct, frozen=True):
    listen: str = "127.0.0.1:8081"
    admin_token: str = ""


class Database(Struct, frozen=True):
    data_dir: Path
    url: str = ""


class Auth(Struct, frozen=True):
    key_file: Path
    signing_key: str = ""
    token_lifetime_sec: Annotated[int, Meta(ge=1, le=10 * 365 * 86_400)] = 3600


class Chats(Struct, frozen=True):
    max_per_user: Annotated[int, Meta(ge=1, le=1_000_000)] = 1_000


class Log(Struct, frozen=True):
    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "console", "json"] = "auto"


class Testing(Struct, frozen=True):
    enabled: bool = False


class DynamicConfig(Struct, frozen=True):
    fallback: Path | None = None
    url: str = ""
    service: Annotated[str, Meta(min_length=1, max_length=200)] = "pychat"
    listen: str = "127.0.0.1:8083"


class Settings(Struct, frozen=True):
    database: Database
    auth: Auth
    http: Http = field(default_factory=Http)
    edge: Edge = field(default_factory=Edge)
    monitor: Monitor = field(default_factory=Monitor)
    chats: Chats = field(default_factory=Chats)
    log: Log = field(default_factory=Log)
    testing: Testing = field(default_factory=Testing)
    dynamic_config: DynamicConfig = field(default_factory=DynamicConfig)


SECTIONS: Mapping[str, type[Struct]] = {
    "http": Http,
    "edge": Edge,
    "monitor": Monitor,
    "database": Database,
    "auth": Auth,
    "chats": Chats,
    "log": Log,
    "testing": Testing,
    "dynamic_config": DynamicConfig,
}
_TYPES = {
    f"{section}.{item.encode_name}": item.type
    for section, struct in SECTIONS.items()
    for item in msgspec.structs.fields(struct)
}


class LoadedSettings(Struct, frozen=True):
    """The settings, and for each key (`section.name`) where its value is from: `default`, a file or a variable."""

    settings: Settings
    sources: Mapping[str, str]


class _Value(Struct, frozen=True):
    value: object
    source: str  # as the operator knows it, for messages


def load_settings(file: Path | None, environ: Mapping[str, str]) -> LoadedSettings:
    """Reads `file` (none: no file) and the `PYCHAT_*` of `environ`.

    Raises:
        SettingsError: an unknown key, a value of the wrong type or out of range, an unreadable file.
    """
    values = {**(_read_file(file) if file else {}), **_read_environment(environ)}
    chosen: dict[str, dict[str, object]] = {section: {} for section in SECTIONS}
    for key, given in values.items():
        section, _, name = key.partition(".")
        chosen[section][name] = given.value
    if "data_dir" not in chosen["database"]:
        chosen["database"]["data_dir"] = default_data_dir(environ)
    if "key_file" not in chosen["auth"]:
        chosen["auth"]["key_file"] = Path(str(chosen["database"]["data_dir"])) / "signing.key"
    settings = msgspec.convert(chosen, Settings, dec_hook=_decode_path)
    _check(settings, {key: given.source for key, given in values.items()})
    return LoadedSettings(settings, {key: values[key].source if key in values else "default" for key in _TYPES})


def default_data_dir(environ: Mapping[str, str]) -> Path:
    """Where data lives unless told otherwise: the system's place for root, the user's own for others."""
    if os.geteuid() == 0:
        return Path("/var/lib/pychat")
    data_home = environ.get("XDG_DATA_HOME") or ""
    return (Path(data_home) if Path(data_home).is_absolute() else Path.home() / ".local/share") / "pychat"


def parse_listen(listen: str) -> tuple[str, int]:
    """Host and port of `host:port`, as an IP address without the brackets of IPv6.

    Raises:
        ValueError: it is not of that form, or the host is neither an IP address nor `localhost`.
    """
    host, _, port = listen.rpartition(":")
    host = "127.0.0.1" if host == "localhost" else host.removeprefix("[").removesuffix("]")
    ipaddress.ip_address(host)
    if not (port.isascii() and port.isdigit() and int(port) <= 65_535):
        raise ValueError("not a port")
    return host, int(port)


def is_loopback(listen: str) -> bool:
    return ipaddress.ip_address(parse_listen(listen)[0]).is_loopback


def _read_file(file: Path) -> dict[str, _Value]:
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"{file}: {error.strerror}") from None
    except ValueError as error:
        raise SettingsError(f"{file}: not TOML: {error}") from None
    values: dict[str, _Value] = {}
    for section, keys in content.items():
        if section not in SECTIONS:
            raise SettingsError(f"{file}: unknown section {section}; expected one of {', '.join(SECTIONS)}")
        if not isinstance(keys, dict):
            raise SettingsError(f"{file}: {section}: expected a section of keys, [{section}]")
        for name, raw in keys.items():
            key = f"{section}.{name}"
            _require_known(key, str(file))
            # A relative path is meant as seen from the file that names it.
            _store(values, key, _converted(key, raw, str(file), base=file.parent), str(file))
    return values


def _read_environment(environ: Mapping[str, str]) -> dict[str, _Value]:
    values: dict[str, _Value] = {}
    for variable, raw in environ.items():
        section, separator, name = variable.removeprefix(ENV_PREFIX).partition("__")
        # Without the separator it is none of ours: Kubernetes sets PYCHAT_PORT and the like for a service of this name.
        if not variable.startswith(ENV_PREFIX) or not separator:
            continue
        key = f"{section}.{name}".lower()
        _require_known(key, variable)
        _store(values, key, _converted(key, raw, variable, base=Path(), strict=False), variable)
    return values


def _store(values: dict[str, _Value], key: str, value: object, source: str) -> None:
    if value is not None:  # an empty path asks for the default
        values[key] = _Value(value, source)


def _require_known(key: str, source: str) -> None:
    if key not in _TYPES:
        section = key.partition(".")[0]
        names = [known.partition(".")[2] for known in _TYPES if known.startswith(f"{section}.")]
        expected = f"{section}.{{{', '.join(names)}}}" if names else f"a section of {', '.join(SECTIONS)}"
        raise SettingsError(f"{source}: unknown key {key}; expected {expected}")


def _converted(key: str, raw: object, source: str, base: Path, strict: bool = True) -> Any:
    kind = _TYPES[key]
    if Path in (kind, *get_args(kind)):
        if not isinstance(raw, str):
            raise SettingsError(f"{source}: {key}: expected a path")
        return (base / Path(raw).expanduser()).absolute() if raw else None
    if isinstance(raw, str) and get_origin(kind) is tuple:
        raw = [item.strip() for item in raw.split(",") if item.strip()]
    try:
        return msgspec.convert(raw, kind, strict=strict)
    except msgspec.ValidationError as error:
        what = str(error)
        if get_origin(kind) is Literal:
            what = f"expected one of {', '.join(get_args(kind))}"
        raise SettingsError(f"{source}: {key}: {what[:1].lower()}{what[1:]}") from None


def _decode_path(kind: type, value: object) -> object:
    return kind(value)


def _check(settings: Settings, sources: Mapping[str, str]) -> None:
    """What one key's type cannot say."""

    def refuse(key: str, expected: str) -> None:
        raise SettingsError(f"{sources.get(key, 'default')}: {key}: expected {expected}")

    _check_addresses(settings, refuse)
    # The token is sent in a header.
    if not all("!" <= character <= "~" for character in settings.monitor.admin_token):
        refuse("monitor.admin_token", "printable ASCII characters without spaces, as openssl rand -hex 24 gives them")
    if settings.dynamic_config.url and not _is_http_url(settings.dynamic_config.url):
        refuse("dynamic_config.url", "a URL such as http://127.0.0.1:8083")


def _check_addresses(settings: Settings, refuse: Callable[[str, str], None]) -> None:
    listens = {
        "http.listen": settings.http.listen,
        "monitor.listen": settings.monitor.listen,
        "dynamic_config.listen": settings.dynamic_config.listen,
    }
    for key, listen in listens.items():
        try:
            parse_listen(listen)
        except ValueError:
            refuse(key, "an IP address and a port, such as 127.0.0.1:8080")
    for proxy in settings.http.trusted_proxies:
        try:
            ipaddress.ip_address(proxy)
        except ValueError:
            refuse("http.trusted_proxies", f"IP addresses, got {proxy}")
    if not settings.edge.enabled and not is_loopback(settings.http.listen):
        # Without the edge the operators' routes are on this port as well.
        refuse("http.listen", "a loopback address, such as 127.0.0.1:8080, while edge.enabled is false")
    for key in ("monitor.listen", "dynamic_config.listen"):
        if not is_loopback(listens[key]) and not settings.monitor.admin_token:
            refuse(key, "a loopback address, or a monitor.admin_token")


def _is_http_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # the port is none
        return False
