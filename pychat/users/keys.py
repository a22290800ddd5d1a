"""The key that tokens are signed with."""

import os
import secrets
from pathlib import Path

from pychat.settings import Settings, SettingsError

SHORTEST_KEY = 32  # bytes; RFC 7518 asks for as many as the hash gives


def load_signing_key(settings: Settings) -> bytes:
    """The HS256 key: `auth.signing_key`, else what `auth.key_file` holds, which is made on the first run.

    The key is the text's UTF-8 bytes, so that a file's content can be moved to the setting as it stands.

    Raises:
        SettingsError: the key is shorter than 32 bytes, or its file cannot be used or is open to other users.
    """
    if settings.auth.signing_key:
        return _long_enough(settings.auth.signing_key.encode(), "auth.signing_key")
    file = settings.auth.key_file
    try:
        if not file.exists():
            _generate(file)
        if file.stat().st_mode & 0o077:
            raise SettingsError(f"{file}: auth.key_file: other users may open it; expected mode 0600")
        return _long_enough(file.read_bytes().strip(), str(file))
    except OSError as error:
        raise SettingsError(f"{file}: auth.key_file: {error.strerror}") from None


def _long_enough(key: bytes, source: str) -> bytes:
    if len(key) < SHORTEST_KEY:
        raise SettingsError(f"{source}: the signing key has {len(key)} bytes; expected at least {SHORTEST_KEY}")
    return key


def _generate(file: Path) -> None:
    """Writes a new key beside `file` and links it there whole, so that a second process never reads half a key."""
    # Others may pass through, not look: as root the embedded database runs as another user below this folder.
    file.parent.mkdir(mode=0o711, parents=True, exist_ok=True)
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as stream:
            stream.write(secrets.token_hex(SHORTEST_KEY) + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        file.hardlink_to(draft)
    except FileExistsError:
        pass  # another process was faster; its key holds
    finally:
        draft.unlink()
