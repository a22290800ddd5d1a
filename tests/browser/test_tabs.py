"""Several tabs and devices of one person stay in step."""

import pytest
from playwright.sync_api import APIResponse, Request, Route, expect

from tests.support.browser import Window
from tests.support.client import Person, new_name
from tests.support.door import through_the_edge
from tests.support.wait import wait_until

pytestmark = through_the_edge


def test_two_tabs_share_one_session_and_stay_in_step(ann: Window, alice: Person, bob: Person) -> None:
    chat_id = alice.chat_with(bob)
    bob.says(chat_id, "the first")
    sessions: list[str] = []

    def note(request: Request) -> None:
        if request.url.endswith("/poll/start"):
            sessions.append(request.url)

    ann.page.context.on("request", note)
    ann.sign_in(alice.username)
    ann.open("Somebody")
    other = ann.another_tab()
    other.visit()
    other.open("Somebody")
    expect(other.message("the first")).to_be_visible()

    ann.write("from one tab")
    other.expect_sent("from one tab")
    other.write("from the other")
    ann.expect_sent("from the other")
    bob.says(chat_id, "seen in both")
    for tab in (ann, other):
        expect(tab.texts).to_have_text(["the first", "from one tab", "from the other", "seen in both"])
    assert len(sessions) == 1

    # The one that reads goes; the other takes its place.
    ann.page.close()
    bob.says(chat_id, "seen in the one that is left")
    expect(other.message("seen in the one that is left")).to_be_visible()
    assert len(sessions) == 1


def test_two_devices_stay_in_step(ann: Window, ben: Window, alice: Person, bob: Person) -> None:
    bob.says(alice.chat_with(bob), "the first")
    for device in (ann, ben):
        device.sign_in(alice.username)
        expect(device.row("Somebody").get_by_label("1 unread")).to_be_visible()
    ann.open("Somebody")
    expect(ann.row("Somebody").get_by_label("unread")).to_be_hidden()
    expect(ben.row("Somebody").get_by_label("unread")).to_be_hidden()
    ann.write("from one device")
    ben.open("Somebody")
    ben.expect_sent("from one device")


def test_a_new_username_is_known_on_another_device(ann: Window, ben: Window, alice: Person, bob: Person) -> None:
    bob.says(alice.chat_with(bob), "the first")
    for device in (ann, ben):
        device.sign_in(alice.username)
        device.open("Somebody")
    ben.composer.fill("half a thou")
    ben.expect_own_name()
    new = new_name()
    ann.page.get_by_role("button", name="Your profile").click()
    dialog = ann.page.get_by_role("dialog")
    dialog.get_by_label("Username", exact=True).fill(new)
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_be_hidden()
    ann.write("under a new name")
    ben.expect_sent("under a new name")
    expect(ben.composer).to_have_value("half a thou")
    ben.page.get_by_role("button", name="Your profile").click()
    expect(ben.page.get_by_role("dialog")).to_contain_text(f"@{new}")


@pytest.mark.provokes(403, 404)
def test_who_was_renamed_elsewhere_is_told_and_can_sign_out(ann: Window, alice: Person, bob: Person) -> None:
    """Where one's own message is nowhere the last, no chat tells the new name."""
    chat_id = alice.chat_with(bob)
    bob.says(chat_id, "the first")
    ann.sign_in(alice.username)
    expect(ann.row("the first")).to_be_visible()
    ann.expect_own_name()
    assert alice.patch(alice.username, username=new_name()).status_code == 200
    ann.page.reload()
    renamed = "Your username was changed on another device."
    expect(ann.connection).to_contain_text(renamed)
    bob.says(chat_id, "and more")
    expect(ann.row("and more")).to_be_visible()
    expect(ann.connection).to_contain_text(renamed)

    ann.page.get_by_role("button", name="Your profile").click()
    expect(ann.page.get_by_role("dialog")).to_contain_text(renamed)
    ann.page.get_by_role("button", name="Sign out").click()
    expect(ann.page.get_by_role("form", name="Welcome back")).to_be_visible()


@pytest.mark.provokes(403)
def test_nobody_becomes_who_took_the_name_that_one_had(ann: Window, alice: Person, bob: Person) -> None:
    chat_id = alice.chat_with(bob)
    bob.says(chat_id, "the first")
    ann.sign_in(alice.username)
    ann.open("Somebody")
    expect(ann.message("the first")).to_be_visible()
    ann.expect_own_name()
    new = new_name()
    assert alice.patch(alice.username, username=new).status_code == 200
    assert bob.register(alice.username, display_name="Impostor").status_code == 200
    ann.page.reload()
    expect(ann.connection).to_contain_text("Your username was changed on another device.")
    expect(ann.page.get_by_role("button", name="Your profile")).not_to_contain_text("Impostor")

    alice.says(chat_id, "from elsewhere")
    ann.expect_sent("from elsewhere")
    ann.page.get_by_role("button", name="Your profile").click()
    expect(ann.page.get_by_role("dialog")).to_contain_text(f"@{new}")


def test_signing_out_in_one_tab_signs_out_in_all(ann: Window, alice: Person) -> None:
    ann.sign_in(alice.username)
    other = ann.another_tab()
    other.visit()
    other.page.get_by_role("button", name="Your profile").click()
    other.page.get_by_role("button", name="Sign out").click()
    for tab in (ann, other):
        expect(tab.page.get_by_role("form", name="Welcome back")).to_be_visible()


def test_a_draft_is_one_in_all_tabs(ann: Window, alice: Person, bob: Person) -> None:
    bob.says(alice.chat_with(bob), "the first")
    ann.sign_in(alice.username)
    ann.open("Somebody")
    other = ann.another_tab()
    other.visit()
    other.open("Somebody")
    ann.composer.fill("half a thou")
    expect(other.composer).to_have_value("half a thou")
    ann.write("a whole thought")
    ann.expect_sent("a whole thought")
    expect(other.composer).to_have_value("")


def test_what_differs_between_tabs_is_not_lost_by_sending_one(ann: Window, alice: Person, bob: Person) -> None:
    bob.says(alice.chat_with(bob), "the first")
    ann.sign_in(alice.username)
    ann.open("Somebody")
    other = ann.sleeping_tab()
    other.visit()
    other.open("Somebody")
    other.composer.fill("mine")
    expect(ann.composer).to_have_value("mine")
    ann.write("yours")
    ann.expect_sent("yours")
    other.page.reload()
    expect(other.composer).to_have_value("mine")


def test_a_tab_that_slept_takes_the_draft_of_no_other(ann: Window, alice: Person, bob: Person) -> None:
    bob.says(alice.chat_with(bob), "the first")
    ann.sign_in(alice.username)
    ann.open("Somebody")
    other = ann.sleeping_tab()
    other.visit()
    other.open("Somebody")
    ann.composer.fill("precious")
    expect_kept(other, "precious")
    ann.page.close()
    other.page.reload()
    expect(other.composer).to_have_value("precious")


def test_a_new_name_takes_along_what_is_typed_where_it_is_given(ann: Window, alice: Person, bob: Person) -> None:
    bob.says(alice.chat_with(bob), "the first")
    ann.sign_in(alice.username)
    ann.open("Somebody")
    other = ann.sleeping_tab()
    other.visit()
    other.open("Somebody")
    other.composer.fill("mine")
    expect(ann.composer).to_have_value("mine")
    ann.composer.fill("yours")
    expect_kept(other, "yours")
    ann.page.close()
    other.change_username(new_name())
    expect(other.composer).to_have_value("mine")


def expect_kept(tab: Window, draft: str) -> None:
    """In a tab that sleeps: it looks into what the browser keeps, which it has from the other tab a little later."""
    wait_until(lambda: draft in tab.page.evaluate("Object.values(localStorage)"), "the draft is kept")


@pytest.mark.provokes(403)
def test_what_another_tab_has_taken_to_edit_is_neither_edited_nor_sent_again(
    ann: Window, alice: Person, bob: Person
) -> None:
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    bob.says(alice.chat_with(bob), "the first")
    ann.sign_in(alice.username)
    ann.open("Somebody")
    other = ann.another_tab()
    other.visit()
    other.open("Somebody")
    refused = '{"code": "may_not_post"}'
    ann.page.context.route("**/v2/chats/*/messages", lambda route: route.fulfill(status=403, body=refused))
    ann.write("once")
    for tab in (ann, other):
        expect(tab.message("once")).to_contain_text("Not sent.")
    # Until the answer comes, it is not clear to the other what became of it.
    other.page.route("**/messages?*", hold)
    ann.message("once").get_by_role("button", name="Edit").click()
    expect(other.composer).to_have_value("once")
    other.wait_for(held)
    for action in ("Edit", "Try again"):
        other.message("once").get_by_role("button", name=action).click()
    assert not other.page.evaluate("Object.keys(localStorage).filter((key) => key.includes('/outbox/'))")
    expect(other.composer).to_have_value("once")
    other.page.unroute_all()
    expect(other.message("once")).to_have_count(0)


KEEP_THE_LEAST = """() => {
    const count = () => document.querySelectorAll(".message").length;
    window.least = count();
    new MutationObserver(() => (least = Math.min(least, count())))
        .observe(document.querySelector(".history"), { childList: true, subtree: true });
}"""


def test_what_one_tab_sends_stays_in_sight_in_the_other(ann: Window, alice: Person, bob: Person) -> None:
    bob.says(alice.chat_with(bob), "the first")
    ann.sign_in(alice.username)
    ann.open("Somebody")
    other = ann.another_tab()
    other.visit()
    other.open("Somebody")
    ann.page.context.set_offline(True)
    for tab in (ann, other):
        expect(tab.connection).to_contain_text("No connection.")
    written = [f"written offline {number}" for number in range(3)]
    for text in written:
        ann.write(text)
    for tab in (ann, other):
        expect(tab.texts).to_have_text(["the first", *written])
        tab.page.evaluate(KEEP_THE_LEAST)
    ann.page.context.set_offline(False)
    for tab in (ann, other):
        expect(tab.page.get_by_role("img", name="Sent", exact=True)).to_have_count(len(written))
        assert tab.page.evaluate("least") == 1 + len(written)


def expect_all_sent(tab: Window) -> None:
    """As far as the tab has it from the other."""
    keys = "Object.keys(localStorage).filter((key) => key.includes('/outbox/'))"
    wait_until(lambda: not tab.page.evaluate(keys), "nothing waits any more")


@pytest.fixture
def sends(ann: Window, alice: Person, bob: Person) -> list[Route]:
    """Alice's chat with Bob is open in Ann's window, where each message is on its way until the test has it go on."""
    bob.says(alice.chat_with(bob), "the first")
    sends: list[Route] = []

    def hold(route: Route) -> None:
        sends.append(route)

    ann.sign_in(alice.username)
    ann.open("Somebody")
    ann.page.route("**/v2/chats/*/messages", hold)
    return sends


@pytest.fixture
def other(ann: Window, sends: list[Route]) -> Window:
    """Another tab of hers that shows how what she writes in the first, "one" and "two", waits. It hears no bell, but of
    what the browser keeps."""
    other = ann.another_tab()
    other.page.add_init_script("BroadcastChannel.prototype.postMessage = () => {}")
    ann.page.evaluate("BroadcastChannel.prototype.postMessage = () => {}")
    other.visit()
    other.open("Somebody")
    expect(other.message("the first")).to_be_visible()
    for text in ("one", "two"):
        ann.write(text)
    ann.wait_for(sends)
    expect(other.texts).to_have_text(["the first", "one", "two"])
    other.page.evaluate(KEEP_THE_LEAST)
    return other


def test_what_is_sent_while_the_other_tab_looks_for_what_came_stays_in_sight(
    ann: Window, other: Window, sends: list[Route]
) -> None:
    looks: list[tuple[Route, APIResponse]] = []

    def hold_the_first_look(route: Route) -> None:
        if looks:
            route.continue_()
        else:
            looks.append((route, route.fetch()))

    other.page.route("**/messages?*", hold_the_first_look)
    sends.pop().continue_()
    other.wait_for(looks)
    ann.wait_for(sends)
    sends.pop().continue_()
    expect_all_sent(other)
    looks[0][0].fulfill(response=looks[0][1])
    expect(other.page.get_by_role("img", name="Sent", exact=True)).to_have_count(2)
    assert other.page.evaluate("least") == 3


def test_what_is_sent_while_the_other_tab_cannot_look_stays_in_sight(
    ann: Window, other: Window, sends: list[Route]
) -> None:
    looks: list[str] = []

    def fail(route: Route) -> None:
        looks.append(route.request.url)
        route.abort()

    other.page.route("**/messages?*", fail)
    for _ in range(2):
        ann.wait_for(sends)
        sends.pop().continue_()
    expect_all_sent(other)
    looks.clear()
    other.wait_for(looks)
    other.page.unroute_all()
    expect(other.page.get_by_role("img", name="Sent", exact=True)).to_have_count(2)
    assert other.page.evaluate("least") == 3
