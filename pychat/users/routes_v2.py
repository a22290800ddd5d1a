"""`/v2/users`: finding people."""

from litestar import get

from pychat.cursors import decode_cursor, encode_cursor
from pychat.docs.doc import Doc
from pychat.errors import problem
from pychat.requests import AnyRequest, RuleBroken, parse_query
from pychat.services import authenticate, services_of
from pychat.users import rules, search, store
from pychat.users.schemas import Profile
from pychat.users.schemas_v2 import FoundUser, SearchQuery, UserList


@get("/v2/users", opt={"doc": Doc(query=SearchQuery, answers={200: UserList})})
async def search_users(request: AnyRequest) -> UserList:
    """Finds people by the beginning of their username or display name."""
    database = services_of(request.scope).database
    await authenticate(request.scope)
    query = parse_query(request.scope, SearchQuery)
    position = decode_cursor(query.after, search.Position)
    rows, following = await search.find(database, query.query, position, query.limit)
    items = [FoundUser(row["username"], row["display_name"]) for row in rows]
    return UserList(items, encode_cursor(following) if following else None)


@get(
    "/v2/users/{username:str}",
    opt={"doc": Doc(answers={200: Profile}, errors={"user_not_found": "There is no such user"})},
)
async def show_user(request: AnyRequest) -> Profile:
    """What everyone may know of a user."""
    await authenticate(request.scope)
    try:
        username = rules.username(request.path_params["username"])
    except RuleBroken:
        raise problem("user_not_found", "There is no such user") from None
    row = await store.profile(services_of(request.scope).database, username)
    if row is None:
        raise problem("user_not_found", "There is no such user")
    return Profile(**row)


handlers = [search_users, show_user]
