"""The signing key: made once, kept private, refused when weak."""

from pathlib import Path

import pytest

from pychat.settings import Settings, SettingsError, load_settings
from pychat.users.keys import load_signing_key


def settings(file: Path, key: str = "") -> Settings:
    return load_settings(None, {"PYCHAT_AUTH__KEY_FILE": str(file), "PYCHAT_AUTH__SIGNING_KEY": key}).settings


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "data" / "signing.key"


def test_a_key_is_made_on_the_first_run_and_kept(file: Path) -> None:
    key = load_signing_key(settings(file))
    assert len(key) >= 32
    assert file.stat().st_mode & 0o777 == 0o600
    assert load_signing_key(settings(file)) == key
    assert [path.name for path in file.parent.iterdir()] == ["signing.key"]


def test_two_installations_have_different_keys(tmp_path: Path) -> None:
    assert load_signing_key(settings(tmp_path / "a")) != load_signing_key(settings(tmp_path / "b"))


def test_the_setting_goes_before_the_file(file: Path) -> None:
    assert load_signing_key(settings(file, "k" * 32)) == b"k" * 32
    assert not file.exists()


def test_the_content_of_a_file_may_be_moved_to_the_setting(file: Path) -> None:
    key = load_signing_key(settings(file))
    assert load_signing_key(settings(file, file.read_text().strip())) == key


def test_a_short_key_is_refused_without_being_shown(file: Path) -> None:
    with pytest.raises(SettingsError, match=r"has 31 bytes; expected at least 32") as refused:
        load_signing_key(settings(file, "k" * 31))
    assert "kkk" not in str(refused.value)


def test_a_short_key_file_is_refused(file: Path) -> None:
    file.parent.mkdir()
    file.touch(0o600)
    with pytest.raises(SettingsError, match="has 0 bytes"):
        load_signing_key(settings(file))


@pytest.mark.parametrize("mode", [0o640, 0o604])
def test_a_key_file_open_to_others_is_refused(file: Path, mode: int) -> None:
    load_signing_key(settings(file))
    file.chmod(mode)
    with pytest.raises(SettingsError, match="other users may open it"):
        load_signing_key(settings(file))
