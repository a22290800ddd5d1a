"""`/v1/users`: the accounts."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import NoneType

from asyncpg import Record
from litestar import Response, delete, get, patch, post
from msgspec import UNSET

from pychat._core import Identity
from pychat.database.pool import OutcomeUnknown
from pychat.docs.doc import Doc
from pychat.errors import Refused
from pychat.requests import AnyRequest, RuleBroken, parse_fields, read_body
from pychat.services import Services, authenticate, services_of
from pychat.users import rules, store, tokens
from pychat.users.schemas import (
    ChangeAnswer,
    ChangeBody,
    LoginAnswer,
    LoginBody,
    Profile,
    ProfileAnswer,
    RegisterAnswer,
    RegisterBody,
    RegisteredUser,
)

# The last four are no name, and names that read like other routes: people may have those as well.
NAME_PATHS = [
    "/v1/users/{username:str}",
    "/v1/users/username/{username:str}",
    "/v1/users",
    "/v1/users/register",
    "/v1/users/login",
    "/v1/users/username",
]


@post(
    "/v1/users/register",
    status_code=200,
    opt={
        "doc": Doc(
            bodies=(RegisterBody,),
            answers={200: RegisterAnswer},
            errors={409: "The username is taken", 503: "The database is away, or too many sign in at once"},
            token=False,
        )
    },
)
async def register(request: AnyRequest) -> RegisterAnswer:
    """Opens an account and signs in."""
    services = services_of(request.scope)
    body = await read_body(request.receive)
    user = parse_fields(body, RegisterBody, rules.RULES).user
    password_hash = await services.passwords.hash(user.password)
    try:
        row = await store.insert(services.database, user.username, password_hash, user.display_name, user.biography)
    except store.NameTaken:
        raise _name_taken() from None
    _publish(services, row)
    return RegisterAnswer(RegisteredUser(user.username, _token(services, row)))


@post(
    "/v1/users/login",
    status_code=200,
    opt={
        "doc": Doc(
            bodies=(LoginBody,),
            answers={200: LoginAnswer},
            errors={401: "Unknown user or wrong password", 503: "The database is away, or too many sign in at once"},
            token=False,
        )
    },
)
async def login(request: AnyRequest) -> LoginAnswer:
    """Signs in: a token for an hour, unless the server is set otherwise."""
    services = services_of(request.scope)
    user = parse_fields(await read_body(request.receive), LoginBody).user
    try:
        username, password = rules.username(user.username), rules.password(user.password)
    except RuleBroken:
        raise _wrong_credentials("Invalid credentials") from None
    services.passwords.require_room()
    row = await store.credentials(services.database, username)
    if not await services.passwords.verify(password, row["password_hash"] if row else None):
        raise _wrong_credentials("Wrong credentials")
    assert row is not None
    return LoginAnswer(_token(services, row))


@get(NAME_PATHS, opt={"doc": Doc(answers={200: ProfileAnswer}, errors={404: "There is no such user"})})
async def show_profile(request: AnyRequest) -> ProfileAnswer:
    """What everyone may know of a user."""
    await authenticate(request.scope)
    try:
        username = rules.username(_name_in_path(request))
    except RuleBroken:
        raise _no_such_user() from None
    row = await store.profile(services_of(request.scope).database, username)
    if row is None:
        raise _no_such_user()
    return ProfileAnswer(Profile(**row))


@patch(
    NAME_PATHS,
    opt={
        "doc": Doc(
            bodies=(ChangeBody,),
            answers={200: ChangeAnswer},
            errors={403: "That account is not yours", 409: "The username is taken"},
        )
    },
)
async def change_profile(request: AnyRequest) -> ChangeAnswer:
    """Changes one's own account. A new password ends every token issued so far."""
    services = services_of(request.scope)
    body = await read_body(request.receive)
    caller = await authenticate(request.scope)
    name = _name_in_path(request)
    if not name:
        raise Refused(400, "The path names no user", {"username": ["The path names no user"]})
    if name.lower() != caller.username:
        raise _not_yours()
    change = parse_fields(body, ChangeBody, rules.RULES).user
    if all(value is UNSET for value in (change.username, change.password, change.display_name, change.biography)):
        return ChangeAnswer(caller.username)
    password_hash = change.password if change.password is UNSET else await services.passwords.hash(change.password)
    try:
        with _outcome_may_be_unknown(services, caller):
            row = await store.update(
                services.database,
                caller.user_id,
                caller.token_generation,
                username=change.username,
                password_hash=password_hash,
                display_name=change.display_name,
                biography=change.biography,
            )
    except store.NameTaken:
        raise _name_taken() from None
    if row is None:
        raise _token_was_revoked(services, caller)
    _publish(services, row)
    return ChangeAnswer(row["username"])


@delete(
    NAME_PATHS,
    status_code=200,
    opt={"doc": Doc(answers={200: NoneType}, errors={403: "That account is not yours", 404: "The path names no user"})},
)
async def delete_account(request: AnyRequest) -> Response[bytes]:
    """Deletes one's own account and ends its tokens and sessions. Its name stays taken."""
    services = services_of(request.scope)
    caller = await authenticate(request.scope)
    name = _name_in_path(request)
    if not name:
        raise _no_such_user()
    if name.lower() != caller.username:
        raise _not_yours()
    with _outcome_may_be_unknown(services, caller):
        row = await store.delete(services.database, caller.user_id, caller.token_generation)
    if row is None:
        raise _token_was_revoked(services, caller)
    _publish(services, row, deleted=True)
    return Response(b"null", media_type="application/json")


def _name_in_path(request: AnyRequest) -> str:
    """The username that the path ends in, as it was sent; empty for `/v1/users/`."""
    path = request.scope["path"]
    return "" if path == "/v1/users" else path.rpartition("/")[2]


@contextmanager
def _outcome_may_be_unknown(services: Services, caller: Identity) -> Iterator[None]:
    """Around a change of one's account: the database may go away after the commit and before it says so."""
    try:
        yield
    except OutcomeUnknown:
        services.core.forget_user(caller.user_id)
        raise


def _token_was_revoked(services: Services, caller: Identity) -> Refused:
    """The account was deleted, or its password changed, after the token was judged."""
    # Where the change came from elsewhere, or its outcome was in doubt, the directory does not know of it yet.
    services.core.forget_user(caller.user_id)
    return Refused(401, "Invalid user auth")


def _publish(services: Services, row: Record, deleted: bool = False) -> None:
    """Tells the directory of a committed account."""
    services.core.put_user(row["id"], row["username"], row["revision"], row["token_generation"], deleted)


def _token(services: Services, row: Record) -> str:
    return tokens.issue(
        row["id"],
        row["token_generation"],
        key=services.signing_key,
        now=services.core.now(),
        lifetime_sec=services.settings.auth.token_lifetime_sec,
    )


def _wrong_credentials(reason: str) -> Refused:
    return Refused(401, reason, {"credentials": [reason]})


def _name_taken() -> Refused:
    return Refused(409, "This username is taken", {"user": ["This username is taken"]})


def _no_such_user() -> Refused:
    return Refused(404, "There is no such user")


def _not_yours() -> Refused:
    return Refused(403, "This account is not yours")


handlers = [register, login, show_profile, change_profile, delete_account]
