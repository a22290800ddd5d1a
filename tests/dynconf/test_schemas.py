"""Keys, defaults and ranges of the dynamic config."""

import json
from pathlib import Path

import msgspec
import pytest

from pychat.dynconf.fallback import load_fallback
from pychat.dynconf.schemas import DynamicConfig, DynamicConfigError, Polling, parse_dynamic_config
from tests.support.configs import raw

EXAMPLE = Path(__file__).parents[2] / "configs" / "dynamic_config.json"


def test_the_example_file_holds_every_field_and_its_default() -> None:
    assert json.loads(EXAMPLE.read_text()) == msgspec.to_builtins(DynamicConfig())
    assert load_fallback(EXAMPLE) == load_fallback(None) == DynamicConfig()


def test_what_is_not_given_has_its_default_and_what_is_unknown_is_ignored() -> None:
    values = {"POLLING_CONFIG": {"max_size": 7, "of_the_original": 1}, "OTHER_CONFIG": {"x": 1}}
    assert parse_dynamic_config(raw(values)) == DynamicConfig(polling=Polling(max_size=7))


def test_the_misspelled_limiter_key_is_read() -> None:
    assert (
        parse_dynamic_config(raw({"SEND_LIMTIER_CONFIG": {"max_rps_per_user": 3}})).send_limiter.max_rps_per_user == 3
    )


def test_an_error_names_the_key_as_it_was_written() -> None:
    with pytest.raises(DynamicConfigError, match=r"^SEND_LIMTIER_CONFIG.max_rps_per_user: expected "):
        parse_dynamic_config(raw({"SEND_LIMTIER_CONFIG": {"max_rps_per_user": "bad"}}))


def test_the_correct_limiter_key_goes_before_the_misspelled_one() -> None:
    values = {"SEND_LIMITER_CONFIG": {"max_rps_per_user": 4}, "SEND_LIMTIER_CONFIG": {"max_rps_per_user": "bad"}}
    assert parse_dynamic_config(raw(values)).send_limiter.max_rps_per_user == 4


@pytest.mark.parametrize(
    ("key", "field", "value"),
    [
        ("REGISTRY_CONFIG", "max_users_amount", 0),
        ("QUEUE_CONFIG", "max_queue_size", 0),
        ("SESSIONS_CONFIG", "max_sessions_amount", 0),
        ("SESSIONS_CONFIG", "max_sessions_amount", 10_000),
        ("SEND_LIMITER_CONFIG", "max_rps_per_user", 0),
        ("POLLING_CONFIG", "polling_time_sec", 0),
        ("GC_TASK_CONFIG", "inter_shard_pause_ms", 0),
    ],
)
def test_the_ends_of_a_range_are_values(key: str, field: str, value: int) -> None:
    assert msgspec.to_builtins(parse_dynamic_config(raw({key: {field: value}})))[key][field] == value


@pytest.mark.parametrize(
    ("key", "field", "value"),
    [
        ("POLLING_CONFIG", "max_size", 0),
        ("POLLING_CONFIG", "polling_time_sec", -1),
        ("REGISTRY_CONFIG", "max_users_amount", -1),
        ("REGISTRY_CONFIG", "max_users_amount", 10**30),
        ("QUEUE_CONFIG", "max_queue_bytes", "many"),
        ("SESSIONS_CONFIG", "idle_timeout_sec", 0),
        ("SESSIONS_CONFIG", "max_sessions_amount", 10_001),
        ("SEND_LIMITER_CONFIG", "is_enabled", 1),
        ("SEND_LIMITER_CONFIG", "token_refill_amount", 1.5),
        ("SEND_LIMITER_CONFIG", "idle_timeout_sec", None),
        ("GC_TASK_CONFIG", "period_seconds", 0),
    ],
)
def test_a_value_out_of_range_is_refused_by_key_and_field(key: str, field: str, value: object) -> None:
    with pytest.raises(DynamicConfigError, match=f"^{key}.{field}: expected "):
        parse_dynamic_config(raw({key: {field: value}}))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ('{"POLLING_CONFIG": 3}', "POLLING_CONFIG: expected `object`"),
        ('{"POLLING_CONFIG": {"a": "\udcff"}}', "not JSON"),
        ("[]", "expected an object"),
        ("{", "not JSON"),
        ('{"A": ' + "[" * 100_000, "not JSON"),
    ],
)
def test_a_wrong_file_is_refused_by_name(tmp_path: Path, content: str, expected: str) -> None:
    file = tmp_path / "config.json"
    file.write_bytes(content.encode(errors="surrogateescape"))
    with pytest.raises(DynamicConfigError) as refused:
        load_fallback(file)
    assert str(refused.value).startswith(f"{file}: {expected}")


def test_a_missing_file_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(DynamicConfigError, match=r"absent.json: No such file"):
        load_fallback(tmp_path / "absent.json")
