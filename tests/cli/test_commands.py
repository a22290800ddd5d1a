"""`pychat config`, `pychat migrate` and the help."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pychat.cli import main
from pychat.settings import SECTIONS
from tests.support.postgres import Postgres


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands set up logging for the process; the output they were given for it is closed after the test."""
    monkeypatch.setattr("pychat.cli.configure_logs", lambda _: None)
    monkeypatch.delenv("PYCHAT_CONFIG", raising=False)


def run(*args: str, **environment: str | None) -> Result:
    return CliRunner().invoke(main, args, env=environment, prog_name="pychat")


def test_config_shows_every_key_with_its_source_and_masks_secrets() -> None:
    result = run(
        "config",
        PYCHAT_AUTH__SIGNING_KEY="geheim" * 6,
        PYCHAT_MONITOR__ADMIN_TOKEN="geheim",
        PYCHAT_DATABASE__URL="postgresql://pychat:geheim@db.example/chat",
    )
    assert result.exit_code == 0
    settings, _, _ = result.output.partition("\n\n")
    rows = {row.split()[0]: row.split()[1:] for row in settings.splitlines()}
    fields = [(name, field) for name, section in SECTIONS.items() for field in section.__struct_fields__]
    assert set(rows) == {f"{section}.{field}" for section, field in fields}
    assert rows["http.listen"] == ["127.0.0.1:8080", "default"]
    assert rows["testing.enabled"] == ["false", "default"]
    assert rows["auth.signing_key"] == ["********", "PYCHAT_AUTH__SIGNING_KEY"]
    assert rows["database.url"] == ["postgresql://pychat@db.example/chat", "PYCHAT_DATABASE__URL"]
    assert "geheim" not in result.output


def test_config_reads_the_file_of_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "pychat.toml"
    file.write_text('[log]\nlevel = "debug"\n')
    result = run("config", PYCHAT_CONFIG=str(file))
    assert ["log.level", "debug", str(file)] in [row.split() for row in result.output.splitlines()]


def test_a_wrong_setting_is_one_line() -> None:
    for command in ("serve", "config", "migrate", "dynconf serve", "dynconf list"):
        result = run(*command.split(), PYCHAT_HTTP__PORT="80")
        assert result.exit_code == 1
        keys = "listen, max_connections, max_connections_per_address, trusted_proxies"
        expected = f"pychat: PYCHAT_HTTP__PORT: unknown key http.port; expected http.{{{keys}}}\n"
        assert result.output == expected


def test_migrate_brings_the_schema_up_to_date_once(postgres: Postgres) -> None:
    url = postgres.new_database()
    first, second = (run("migrate", PYCHAT_DATABASE__URL=url) for _ in range(2))
    assert (first.exit_code, second.exit_code) == (0, 0)
    assert first.output.startswith("applied 0001_users_chats")
    assert second.output == "the schema is up to date\n"


def test_migrate_without_a_database_is_one_line() -> None:
    result = run("migrate", PYCHAT_DATABASE__URL="postgresql://u:geheim@127.0.0.1:1/x")
    assert result.exit_code == 1
    assert result.output.startswith("pychat: cannot connect to the database: ")
    assert result.output.count("\n") == 1
    assert "geheim" not in result.output


@pytest.mark.parametrize(
    "command",
    ["serve", "config", "migrate", *(f"dynconf {name}" for name in ("serve", "list", "get", "set", "delete"))],
)
def test_the_help_helps(command: str) -> None:
    *group, name = command.split()
    assert name in run(*group, "--help").output
    assert "--config FILE" in run(*group, name, "--help").output
