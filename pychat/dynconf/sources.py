"""Where a chat server has its dynamic config from."""

from typing import TypeAlias

from pychat.database.pool import Database
from pychat.dynconf.client import ConfigClient
from pychat.dynconf.current import CurrentConfig
from pychat.dynconf.database_source import DatabaseSource
from pychat.dynconf.service_source import CACHE, ServiceSource
from pychat.settings import Settings

ConfigSource: TypeAlias = DatabaseSource | ServiceSource


def source_of(settings: Settings, database: Database, current: CurrentConfig) -> ConfigSource:
    """The service at `dynamic_config.url`, else the server's own database."""
    config = settings.dynamic_config
    if config.url:
        return ServiceSource(ConfigClient(config.url), config.service, settings.database.data_dir / CACHE, current)
    return DatabaseSource(database, config.service, current)
