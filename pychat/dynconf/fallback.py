"""The dynamic config that holds from the start: a JSON file, or the defaults."""

from pathlib import Path

import msgspec
from msgspec import Raw

from pychat.dynconf.schemas import DynamicConfig, DynamicConfigError, parse_dynamic_config


def load_fallback(file: Path | None) -> DynamicConfig:
    """Reads `{key: {field: value}}` from `file`; without one, the built-in defaults.

    Raises:
        DynamicConfigError: the file cannot be read, or a value is invalid; one line naming the file.
    """
    if file is None:
        return DynamicConfig()
    try:
        return parse_dynamic_config(msgspec.json.decode(file.read_text(encoding="utf-8"), type=dict[str, Raw]))
    except OSError as error:
        raise DynamicConfigError(f"{file}: {error.strerror}") from None
    except msgspec.ValidationError:
        raise DynamicConfigError(f"{file}: expected an object of config keys") from None
    except (ValueError, RecursionError) as error:
        raise DynamicConfigError(f"{file}: not JSON: {error}") from None
    except DynamicConfigError as error:
        raise DynamicConfigError(f"{file}: {error}") from None
