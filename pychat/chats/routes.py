"""`/v1/chats`: opening a chat."""

from litestar import Response, post

from pychat.chats import store
from pychat.chats.rules import too_many_chats
from pychat.chats.schemas import ChatAnswer, PrivateChatBody
from pychat.docs.doc import Doc
from pychat.errors import Refused
from pychat.requests import AnyRequest, RuleBroken, parse_fields, read_body
from pychat.services import authenticate, services_of
from pychat.users import rules


@post(
    "/v1/chats/private",
    opt={
        "doc": Doc(
            bodies=(PrivateChatBody,),
            answers={201: ChatAnswer, 200: ChatAnswer},
            errors={404: "There is no such user", 409: "One of the two is in as many chats as one may be"},
        )
    },
)
async def open_private_chat(request: AnyRequest) -> Response[ChatAnswer]:
    """Opens the private chat with a user, oneself included; 200 where it was there before."""
    services = services_of(request.scope)
    body = await read_body(request.receive)
    caller = await authenticate(request.scope)
    target_username = parse_fields(body, PrivateChatBody).target_username
    try:
        target = await store.user_id_of(services.database, rules.username(target_username))
    except RuleBroken:
        target = None
    if target is None:
        raise Refused(404, "There is no such user")
    chat = await store.open_private(services.database, caller.user_id, target, services.settings.chats.max_per_user)
    if chat is None:
        raise too_many_chats()
    if chat.is_new:
        services.core.put_chat(chat.id, chat.number, [(user_id, True) for user_id in {caller.user_id, target}])
    return Response(ChatAnswer(chat.id), status_code=201 if chat.is_new else 200)


handlers = [open_private_chat]
