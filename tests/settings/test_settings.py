"""Where each setting comes from, and what stops the start."""

from pathlib import Path

import msgspec
import pytest

from pychat.settings import SettingsError, load_settings

EXAMPLE = Path(__file__).parents[2] / "configs" / "pychat.toml"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "pychat.toml"


def test_the_example_file_holds_every_key_and_its_default() -> None:
    # The file names the file beside it, which holds the defaults (tests/dynconf).
    beside = {"PYCHAT_DYNAMIC_CONFIG__FALLBACK": str(EXAMPLE.parent / "dynamic_config.json")}
    example, defaults = load_settings(EXAMPLE, {}), load_settings(None, beside)
    assert example.settings == defaults.settings
    # Keys whose default is computed stand in the file as empty paths.
    computed = {"database.data_dir", "auth.key_file"}
    assert {key for key, source in example.sources.items() if source == "default"} == computed
    text = EXAMPLE.read_text()
    assert all(f"\n{key.partition('.')[2]} = " in text for key in computed)


def test_environment_goes_over_file_and_file_over_default(file: Path) -> None:
    file.write_text('[http]\nlisten = "127.0.0.1:1"\n[log]\nlevel = "error"\n')
    loaded = load_settings(file, {"PYCHAT_HTTP__LISTEN": "127.0.0.1:2", "PYCHAT_TESTING__ENABLED": "true"})
    assert loaded.settings.http.listen == "127.0.0.1:2"
    assert loaded.settings.testing.enabled is True
    assert loaded.settings.log.level == "error"
    assert loaded.sources["http.listen"] == "PYCHAT_HTTP__LISTEN"
    assert loaded.sources["log.level"] == str(file)
    assert loaded.sources["log.format"] == "default"


def test_the_key_file_lies_in_the_data_dir() -> None:
    loaded = load_settings(None, {"PYCHAT_DATABASE__DATA_DIR": "/somewhere"})
    assert loaded.settings.auth.key_file == Path("/somewhere/signing.key")


def test_a_relative_path_is_taken_from_its_file(file: Path) -> None:
    file.write_text('[dynamic_config]\nfallback = "config.json"\n')
    assert load_settings(file, {}).settings.dynamic_config.fallback == file.parent / "config.json"


def test_variables_of_others_are_left_alone() -> None:
    # Kubernetes sets these for a service named pychat.
    load_settings(None, {"PYCHAT_PORT": "tcp://10.0.0.1:80", "PYCHAT_SERVICE_HOST": "10.0.0.1", "HTTP__LISTEN": "x"})


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("[htp]\n", "unknown section htp"),
        ("http = 1\n", "http: expected a section"),
        ("[http]\nlistn = 1\n", "unknown key http.listn; expected http.{listen, max_connections, "),
        ("[http]\nlisten = 8080\n", "http.listen: expected `str`, got `int`"),
        ('[http]\nlisten = "8080"\n', "http.listen: expected an IP address and a port"),
        ('[monitor]\nlisten = "0.0.0.0:8081"\n', "monitor.listen: expected a loopback address, or"),
        ('[http]\ntrusted_proxies = ["proxy"]\n', "http.trusted_proxies: expected IP addresses, got proxy"),
        ('[http]\nlisten = "0.0.0.0:80"\n[edge]\nenabled = false\n', "expected a loopback address"),
        ('[monitor]\nadmin_token = "geheimü"\n', "monitor.admin_token: expected printable ASCII characters"),
        ("[database]\ndata_dir = 3\n", "database.data_dir: expected a path"),
        ("[auth]\ntoken_lifetime_sec = 0\n", "auth.token_lifetime_sec: expected `int` >= 1"),
        ('[auth]\ntoken_lifetime_sec = "60"\n', "auth.token_lifetime_sec: expected `int`, got `str`"),
        ('[log]\nlevel = "loud"\n', "log.level: expected one of debug, info, warning, error"),
        ("[testing]\nenabled = 1\n", "testing.enabled: expected `bool`, got `int`"),
        ("no toml", "not TOML"),
    ],
)
def test_a_wrong_file_is_refused_in_one_line(file: Path, content: str, expected: str) -> None:
    file.write_text(content)
    with pytest.raises(SettingsError) as refused:
        load_settings(file, {})
    message = str(refused.value)
    assert message.startswith(f"{file}: ")
    assert expected in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("PYCHAT_HTTP__PORT", "1", "unknown key http.port"),
        ("PYCHAT_WEB__PORT", "1", "unknown key web.port; expected a section of http, "),
        ("PYCHAT_EDGE__THREADS", "many", "edge.threads: expected `int`"),
        ("PYCHAT_TESTING__ENABLED", "maybe", "testing.enabled: expected `bool`"),
        ("PYCHAT_LOG__FORMAT", "xml", "log.format: expected one of auto, console, json"),
    ],
)
def test_a_wrong_variable_is_refused_by_name(variable: str, value: str, expected: str) -> None:
    with pytest.raises(SettingsError) as refused:
        load_settings(None, {variable: value})
    assert str(refused.value).startswith(f"{variable}: ")
    assert expected in str(refused.value)


def test_a_missing_file_is_refused(file: Path) -> None:
    with pytest.raises(SettingsError, match="No such file"):
        load_settings(file, {})


def test_settings_cannot_be_changed() -> None:
    settings = load_settings(None, {}).settings
    with pytest.raises(AttributeError):
        settings.http = msgspec.structs.replace(settings.http)  # type: ignore[misc] # that is the test
