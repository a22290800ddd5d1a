"""Bodies of the user routes."""

from msgspec import UNSET, Struct, UnsetType


class NewUser(Struct):
    username: str
    password: str
    display_name: str
    biography: str = ""


class RegisterBody(Struct):
    user: NewUser


class RegisteredUser(Struct):
    username: str
    token: str


class RegisterAnswer(Struct):
    user: RegisteredUser


class Credentials(Struct):
    username: str
    password: str


class LoginBody(Struct):
    user: Credentials


class LoginAnswer(Struct):
    token: str


class Profile(Struct):
    username: str
    display_name: str
    biography: str


class ProfileAnswer(Struct):
    user: Profile


class ProfileChange(Struct):
    """What is left out stays as it is."""

    username: str | UnsetType = UNSET
    password: str | UnsetType = UNSET
    display_name: str | UnsetType = UNSET
    biography: str | UnsetType = UNSET


class ChangeBody(Struct):
    user: ProfileChange


class ChangeAnswer(Struct):
    username: str
