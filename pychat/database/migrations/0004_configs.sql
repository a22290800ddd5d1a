-- Dynamic configs of any service; names and key are those of the HTTP contract.
CREATE TABLE configs (
    service      text NOT NULL,
    config_name  text NOT NULL,
    config_value jsonb NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now(),
    updated_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (service, config_name)
);

-- What was deleted and is not there again: who asks what has changed is told of it.
CREATE TABLE configs_removed (
    service     text NOT NULL,
    config_name text NOT NULL,
    removed_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (service, config_name)
);

-- Whoever changes a config, by hand too, wakes those who follow them.
CREATE FUNCTION notify_configs() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('pychat_configs', '');
    RETURN NULL;
END
$$;

CREATE TRIGGER configs_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON configs
    FOR EACH STATEMENT EXECUTE FUNCTION notify_configs();
