"""The profiles of the load tests."""

from pathlib import Path

import pytest

from loadtest.profile import ProfileError, load_profile, names


@pytest.mark.parametrize("name", names())
def test_every_profile_can_be_run(name: str) -> None:
    profile = load_profile(name)
    assert profile.at(0) is not None
    assert profile.at(profile.seconds) is None


def test_stages_follow_one_another(tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    file.write_text("""
        description = "two stages"
        stages = [{users = 5, spawn_rate = 1, seconds = 10}, {users = 2, spawn_rate = 3, seconds = 20}]
        thresholds = {send_p95_ms = 1, delivery_p95_ms = 1}
    """)
    profile = load_profile(str(file))
    assert [profile.at(second) for second in (9.9, 10, 29.9, 30)] == [0, 1, 1, None]


def test_an_unknown_profile_is_refused_and_the_known_are_named() -> None:
    with pytest.raises(ProfileError, match=r"no profile smoky; there are .*smoke"):
        load_profile("smoky")


@pytest.mark.parametrize("wrong", ["descripton = 'x'", "not toml", "stages = []"])
def test_an_invalid_profile_names_its_file(wrong: str, tmp_path: Path) -> None:
    file = tmp_path / "wrong.toml"
    file.write_text(wrong)
    with pytest.raises(ProfileError, match=r"wrong\.toml"):
        load_profile(str(file))
