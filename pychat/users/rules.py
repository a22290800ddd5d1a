"""What the fields of an account may hold.

Each rule takes the text that the client sent, returns it as it is kept, and raises RuleBroken with every fault.
"""

import re

from pychat.requests import Rule, RuleBroken

ASCII_WHITESPACE = " \t\n\r\v\f"

_NEWLINES_IN_A_ROW = re.compile(r"\n(?:\r*\n){3}")
_CONTROL_CHARACTER = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")


def username(text: str) -> str:
    """3-32 of `a-z`, digits, `_`, `-`; lowercased, so that names differ by more than case."""
    _check(
        (3 <= len(text) <= 32, "The username has 3 to 32 characters"),
        (not re.search(r"[^A-Za-z0-9_-]", text), "The username has ASCII letters, digits, '_' and '-' only"),
        (not re.match(r"[0-9]", text), "The username does not start with a digit"),
        (not re.search(r"[_-]{2}", text), "The username has no two of '_' and '-' in a row"),
    )
    return text.lower()


def password(text: str) -> str:
    """8-32 printable ASCII characters without whitespace, of all four kinds."""
    _check(
        (8 <= len(text) <= 32, "The password has 8 to 32 characters"),
        (not re.search(r"[^!-~]", text), "The password has printable ASCII characters without whitespace only"),
        (bool(re.search(r"[0-9]", text)), "The password has at least one digit"),
        (bool(re.search(r"[A-Z]", text)), "The password has at least one uppercase letter"),
        (bool(re.search(r"[a-z]", text)), "The password has at least one lowercase letter"),
        (bool(re.search(r"[!-/:-@\[-`{-~]", text)), "The password has at least one special character"),
    )
    return text


def display_name(text: str) -> str:
    """2-50 code points, trimmed: ASCII letters, digits, single spaces, `-`, `_`, `.`, and all beyond ASCII."""
    text = text.strip(ASCII_WHITESPACE)
    _check(
        (2 <= len(text) <= 50, "The display name has 2 to 50 characters"),
        ("  " not in text, "The display name has no two spaces in a row"),
        (
            not re.search(r"[^A-Za-z0-9 ._\-\x80-\U0010ffff]", text),
            "The display name has letters, digits, spaces, '-', '_' and '.' only",
        ),
    )
    return text


def biography(text: str) -> str:
    """At most 180 code points, trimmed; line breaks and tabs are the only control characters."""
    text = text.strip(ASCII_WHITESPACE)
    _check(
        (len(text) <= 180, "The biography has at most 180 characters"),
        (not _CONTROL_CHARACTER.search(text), "The biography has no control characters but line breaks and tabs"),
        (not _NEWLINES_IN_A_ROW.search(text), "The biography has at most 3 line breaks in a row"),
    )
    return text


RULES: dict[str, Rule] = {
    "username": username,
    "password": password,
    "display_name": display_name,
    "biography": biography,
}


def _check(*rules: tuple[bool, str]) -> None:
    """Raises RuleBroken with the sentences of the rules that do not hold."""
    if reasons := [sentence for holds, sentence in rules if not holds]:
        raise RuleBroken(reasons)
