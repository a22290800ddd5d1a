"""The contract's rules for the fields of an account, against a second, slower wording of them."""

import string
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pychat.requests import RuleBroken
from pychat.users import rules

LETTERS_AND_DIGITS = string.ascii_letters + string.digits
SPECIALS = "_-"
WHITESPACE = " \t\n\r\v\f"


def accepts(rule: Callable[[str], str], text: str) -> bool:
    try:
        rule(text)
    except RuleBroken:
        return False
    return True


def has_control_characters(text: str) -> bool:
    return any(ord(character) < 0x20 and character not in "\n\r\t" for character in text)


def longest_row_of_newlines(text: str) -> int:
    longest = row = 0
    for character in text:
        if character == "\n":
            row += 1
        elif character != "\r":
            row = 0
        longest = max(longest, row)
    return longest


# Mostly what is nearly right, sometimes anything at all.
usernames = st.text(st.sampled_from("abzABZ019_-"), max_size=34) | st.text(max_size=34)
passwords = st.text(st.sampled_from("aZ0!~ \x7fä"), max_size=34) | st.text(max_size=34)
names = st.text(st.sampled_from("aZ0 -_.<\tä🦉\x7f"), max_size=54) | st.text(max_size=54)
biographies = st.text(st.sampled_from("a \n\r\t\v\x00🦉"), max_size=190) | st.text(max_size=190)


@given(usernames)
@example("K" * 3)  # the Kelvin sign lowercases to an ASCII letter
@example("abc\n")
def test_username(text: str) -> None:
    good = (
        3 <= len(text) <= 32
        and all(character in LETTERS_AND_DIGITS + SPECIALS for character in text)
        and text[0] not in string.digits
        and not any(a in SPECIALS and b in SPECIALS for a, b in pairwise(text))
    )
    assert accepts(rules.username, text) == good
    if good:
        assert rules.username(text) == text.lower()


@given(passwords)
@example("Passw0rd!")
@example("Passw0rd!\n")
def test_password(text: str) -> None:
    good = (
        8 <= len(text) <= 32
        and all(0x21 <= ord(character) <= 0x7E for character in text)
        and any(character in string.digits for character in text)
        and any(character in string.ascii_uppercase for character in text)
        and any(character in string.ascii_lowercase for character in text)
        and any(character in string.punctuation for character in text)
    )
    assert accepts(rules.password, text) == good
    if good:
        assert rules.password(text) == text


@given(names)
@example(" ab\n")
@example("a\x7f")
def test_display_name(text: str) -> None:
    trimmed = text.strip(WHITESPACE)
    good = (
        2 <= len(trimmed) <= 50
        and "  " not in trimmed
        and all(character in LETTERS_AND_DIGITS + " -_." or ord(character) > 0x7F for character in trimmed)
    )
    assert accepts(rules.display_name, text) == good
    if good:
        assert rules.display_name(text) == trimmed


@given(biographies)
@example("a\n\r\n\r\n\r\nb")
@example("\u00a0a\u00a0")
def test_biography(text: str) -> None:
    trimmed = text.strip(WHITESPACE)
    good = len(trimmed) <= 180 and not has_control_characters(trimmed) and longest_row_of_newlines(trimmed) <= 3
    assert accepts(rules.biography, text) == good
    if good:
        assert rules.biography(text) == trimmed


@pytest.mark.parametrize("rule", rules.RULES.values())
def test_what_a_rule_returns_it_accepts(rule: Callable[[str], str]) -> None:
    for text in ("Abc-1_x", "Passw0rd!", " Ann Lee ", "one\ntwo"):
        if accepts(rule, text):
            assert rule(rule(text)) == rule(text)


def test_every_broken_rule_has_its_sentence() -> None:
    with pytest.raises(RuleBroken) as broken:
        rules.username("1-_" + "é" * 30)
    assert len(broken.value.reasons) == 4
    with pytest.raises(RuleBroken) as broken:
        rules.password("")
    assert len(broken.value.reasons) == 5
