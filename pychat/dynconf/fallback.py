"""The dynamic config that holds from the start: a JSON file, or the defaults."""

import json
from pathlib import Path

from pychat.dynconf.schemas import DynamicConfig, DynamicConfigError, parse_dynamic_config


def load_fallback(file: Path | None) -> DynamicConfig:
    """Reads `{key: {field: value}}` from `file`; without one, the built-in defaults.

    Raises:
        DynamicConfigError: the file cannot be read, or a value is invalid; one line naming the file.
    """
    if file is None:
        return DynamicConfig()
    try:
        values = json.loads(file.read_bytes())
        if not isinstance(values, dict):
            raise DynamicConfigError("expected an object of config keys")
        return parse_dynamic_config(values)
    except OSError as error:
        raise DynamicConfigError(f"{file}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise DynamicConfigError(f"{file}: not JSON: {error}") from None
    except DynamicConfigError as error:
        raise DynamicConfigError(f"{file}: {error}") from None
