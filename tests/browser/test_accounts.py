"""Signing up, in and out; profiles."""

import re

import pytest
from playwright.sync_api import Route, expect

from tests.support.browser import Window
from tests.support.client import PASSWORD, Person, new_name
from tests.support.door import through_the_edge

pytestmark = through_the_edge


@pytest.mark.parametrize(
    ("username", "password", "field", "words"),
    [
        ("ab", PASSWORD, "Username", "3 to 32 characters"),
        ("1st", PASSWORD, "Username", "no digit first"),
        ("a b c", PASSWORD, "Username", "letters a–z"),
        ("a__b", PASSWORD, "Username", "no two of"),
        ("abc", "short", "Password", "8 to 32 characters, a capital, a digit"),
        ("abc", "", "Password", "Needed:"),
    ],
)
def test_a_broken_rule_is_told_at_its_field(ann: Window, username: str, password: str, field: str, words: str) -> None:
    ann.sign_up(username, password=password)
    box = ann.page.get_by_role("form", name="Make an account").get_by_label(field)
    expect(box).to_have_attribute("aria-invalid", "true")
    expect(box).to_be_focused()
    expect(box).to_have_accessible_description(re.compile(re.escape(words)))


@pytest.mark.provokes(409)
def test_a_taken_name_is_told_at_its_field(ann: Window, alice: Person) -> None:
    ann.sign_up(alice.username.upper())
    box = ann.page.get_by_role("form", name="Make an account").get_by_label("Username")
    expect(box).to_have_accessible_description(re.compile("This username is taken"))
    expect(box).to_have_value(alice.username.upper())


@pytest.mark.provokes(401)
def test_wrong_credentials_are_told_and_what_was_typed_stays(ann: Window, alice: Person) -> None:
    ann.visit()
    ann.page.get_by_role("button", name="Sign in").click()
    form = ann.page.get_by_role("form", name="Welcome back")
    form.get_by_label("Username").fill(alice.username)
    form.get_by_label("Password").fill("Wr0ng-password")
    form.get_by_role("button", name="Sign in").click()
    expect(form.get_by_role("alert")).to_have_text("Username and password do not go together. Check both.")
    expect(form.get_by_label("Username")).to_have_value(alice.username)


def test_signing_out_leaves_nothing_behind(ann: Window, alice: Person) -> None:
    ann.sign_in(alice.username)
    ann.page.get_by_role("button", name="Your profile").click()
    ann.page.get_by_role("button", name="Sign out").click()
    expect(ann.page.get_by_role("form", name="Welcome back")).to_be_visible()
    kept = ann.page.evaluate("Object.keys(localStorage)")
    assert kept == ["pychat.last-username"]


def test_a_session_that_comes_late_is_not_left_behind(ann: Window, alice: Person) -> None:
    starts: list[Route] = []
    reloads: list[Route] = []

    def hold_start(route: Route) -> None:
        starts.append(route)

    def hold_reload(route: Route) -> None:
        reloads.append(route)

    ann.page.route("**/poll/start", hold_start)
    ann.sign_in(alice.username)
    ann.page.get_by_role("button", name="Your profile").click()
    ann.wait_for(starts)
    ann.page.route(f"{ann.url}/", hold_reload)
    ann.page.get_by_role("button", name="Sign out").click(no_wait_after=True)
    ann.wait_for(reloads)
    starts[0].fulfill(response=starts[0].fetch())
    reloads[0].continue_()
    expect(ann.page.get_by_role("form", name="Welcome back")).to_be_visible()
    assert ann.page.evaluate("Object.keys(localStorage)") == ["pychat.last-username"]


def test_a_profile_is_shown_and_ones_own_changed(ann: Window, ben: Window, alice: Person, bob: Person) -> None:
    alice.chat_with(bob)
    ann.sign_in(alice.username)
    ann.page.get_by_role("button", name="Your profile").click()
    mine = ann.page.get_by_role("dialog")
    mine.get_by_label("Name that others see").fill("Alice Liddell")
    mine.get_by_label("About you").fill("Down the hole\nand back")
    mine.get_by_role("button", name="Save").click()
    expect(mine.get_by_role("status")).to_have_text("Saved.")
    expect(ann.page.get_by_role("button", name="Your profile")).to_contain_text("Alice Liddell")

    ben.sign_in(bob.username)
    ben.open("Alice Liddell")
    ben.page.get_by_role("button", name="Alice Liddell").click()
    expect(ben.page.get_by_role("dialog")).to_contain_text("Down the hole\nand back")


@pytest.mark.provokes(409)
def test_a_new_username_is_known_in_all_tabs(ann: Window, alice: Person, bob: Person) -> None:
    bob.says(alice.chat_with(bob), "Hello")
    ann.sign_in(alice.username)
    ann.open("Somebody")
    ann.composer.fill("half a thou")
    other = ann.another_tab()
    other.visit()
    other.open("Somebody")
    ann.page.get_by_role("button", name="Your profile").click()
    dialog = ann.page.get_by_role("dialog")
    field = dialog.get_by_label("Username", exact=True)

    field.fill("1st")
    dialog.get_by_role("button", name="Save").click()
    expect(field).to_have_accessible_description(re.compile("no digit first"))
    field.fill(bob.username)
    dialog.get_by_role("button", name="Save").click()
    expect(field).to_have_accessible_description(re.compile("This username is taken"))
    expect(field).to_be_focused()
    expect(field).to_have_value(bob.username)

    new = new_name()
    field.fill(new)
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_be_hidden()
    for tab in (ann, other):
        # Each begins anew by itself; before, the profile would go with the page.
        expect(tab.page.locator("[data-part=my-username]")).to_have_text(f"@{new}")
        tab.page.get_by_role("button", name="Your profile").click()
        expect(tab.page.get_by_role("dialog")).to_contain_text(f"@{new}")
        tab.page.keyboard.press("Escape")
        expect(tab.composer).to_have_value("half a thou")
    ann.composer.press("Enter")
    for tab in (ann, other):
        tab.expect_sent("half a thou")
    assert alice.login(new).status_code == 200


def test_a_changed_password_keeps_one_signed_in(ann: Window, alice: Person) -> None:
    ann.sign_in(alice.username)
    ann.page.get_by_role("button", name="Your profile").click()
    ann.page.get_by_text("Change the password").click()
    ann.page.get_by_label("New password").fill("Other-passw0rd")
    ann.page.get_by_role("button", name="Change it").click()
    expect(ann.page.get_by_text("Your password is changed.")).to_be_visible()
    ann.page.reload()
    expect(ann.page.get_by_role("navigation", name="Chats")).to_be_visible()
    expect(ann.page.get_by_text("No chats yet.")).to_be_visible()


@pytest.mark.provokes(401)
def test_a_deleted_account_is_gone(ann: Window, alice: Person) -> None:
    ann.sign_in(alice.username)
    ann.page.get_by_role("button", name="Your profile").click()
    ann.page.get_by_text("Delete the account").click()
    confirmation = ann.page.get_by_label("Type your username to go on")
    confirmation.fill("somebody-else")
    ann.page.get_by_role("button", name="Delete for good").click()
    expect(confirmation).to_have_accessible_description(re.compile("That is not your username"))
    confirmation.fill(alice.username)
    ann.page.get_by_role("button", name="Delete for good").click()
    expect(ann.page.get_by_role("form", name="Welcome back")).to_be_visible()
    assert alice.login(alice.username).status_code == 401


def test_signing_out_asks_before_drafts_are_lost(ann: Window, alice: Person, bob: Person) -> None:
    alice.chat_with(bob)
    ann.sign_in(alice.username)
    ann.open("Somebody")
    ann.composer.fill("half a thou")
    ann.page.get_by_role("button", name="Your profile").click()
    ann.page.get_by_role("button", name="Sign out").click()
    question = ann.page.get_by_role("dialog", name="Signing out loses 1 draft.")
    question.get_by_role("button", name="Stay").click()
    ann.page.get_by_role("button", name="Close").click()
    expect(ann.composer).to_have_value("half a thou")

    other = ann.another_tab()
    other.visit()
    other.open("Somebody")
    ann.page.get_by_role("button", name="Your profile").click()
    ann.page.get_by_role("button", name="Sign out").click()
    question.get_by_role("button", name="Sign out all the same").click()
    for tab in (ann, other):
        expect(tab.page.get_by_role("form", name="Welcome back")).to_be_visible()
    assert not ann.page.evaluate("Object.keys(localStorage).filter((key) => key.startsWith('pychat.of.'))")


def test_a_profile_that_comes_late_is_not_shown_as_another(ann: Window, alice: Person, bob: Person) -> None:
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    alice.chat_with(bob)
    ann.sign_in(alice.username)
    ann.open("Somebody")
    ann.page.route(f"**/v1/users/{bob.username}", hold)
    ann.peer.click()
    ann.page.get_by_role("button", name="Close").click()
    ann.page.get_by_role("button", name="Your profile").click()
    dialog = ann.page.get_by_role("dialog")
    expect(dialog.get_by_label("Username", exact=True)).to_have_value(alice.username)
    ann.wait_for(held)
    with ann.page.expect_response(f"**/v1/users/{bob.username}") as answer:
        held[0].continue_()
    answer.value.finished()
    ann.page.evaluate("new Promise((resolve) => setTimeout(resolve))")
    expect(dialog).to_contain_text(f"@{alice.username}")
    expect(dialog.get_by_label("Username", exact=True)).to_have_value(alice.username)


def test_what_is_saved_late_is_not_told_in_anothers_profile(ann: Window, alice: Person, bob: Person) -> None:
    held: list[Route] = []

    def hold_the_first(route: Route) -> None:
        if held:
            route.continue_()
        else:
            held.append(route)

    alice.chat_with(bob)
    ann.sign_in(alice.username)
    ann.open("Somebody")
    ann.page.get_by_role("button", name="Your profile").click()
    dialog = ann.page.get_by_role("dialog")
    expect(dialog.get_by_label("Username", exact=True)).to_have_value(alice.username)
    ann.expect_own_name()
    ann.page.route(f"**/v1/users/{alice.username}", hold_the_first)
    dialog.get_by_label("Name that others see").fill("Alice Liddell")
    dialog.get_by_role("button", name="Save").click()
    dialog.get_by_role("button", name="Close").click()
    ann.peer.click()
    expect(dialog).to_contain_text(f"@{bob.username}")
    ann.wait_for(held)
    held[0].continue_()
    expect(ann.page.locator("[data-part=my-name]")).to_have_text("Alice Liddell")
    expect(dialog).to_contain_text(f"@{bob.username}")
    expect(dialog.get_by_role("status")).to_be_hidden()


@pytest.mark.provokes(503)
def test_ones_own_name_is_shown_as_soon_as_it_can_be_fetched(ann: Window, alice: Person) -> None:
    assert alice.patch(alice.username, display_name="Alice Liddell").status_code == 200
    ann.page.route("**/v1/users/u*", lambda route: route.fulfill(status=503))
    ann.sign_in(alice.username)
    expect(ann.connection).to_contain_text("The server cannot do this right now.")
    ann.page.unroute_all()
    expect(ann.page.get_by_role("button", name="Your profile")).to_contain_text("Alice Liddell")
    expect(ann.connection).to_be_hidden()


@pytest.mark.provokes(403)
def test_a_new_username_whose_answer_was_lost_is_ones_own(ann: Window, alice: Person) -> None:
    ann.sign_in(alice.username)
    ann.page.get_by_role("button", name="Your profile").click()
    dialog = ann.page.get_by_role("dialog")
    field = dialog.get_by_label("Username", exact=True)
    expect(field).to_have_value(alice.username)
    ann.expect_own_name()
    lost = ann.lose_first_answer(f"**/v1/users/{alice.username}")
    new = new_name()
    field.fill(new.upper())
    dialog.get_by_role("button", name="Save").click()
    expect(dialog.get_by_role("alert")).to_contain_text("The server cannot be reached.")
    assert new in lost[0]
    dialog.get_by_label("Name that others see").fill("Alice Liddell")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_be_hidden()
    expect(ann.page.locator("[data-part=my-name]")).to_have_text("Alice Liddell")
    ann.page.get_by_role("button", name="Your profile").click()
    expect(dialog).to_contain_text(f"@{new}")


def test_one_can_sign_out_without_a_connection(ann: Window, alice: Person) -> None:
    ann.sign_in(alice.username)
    expect(ann.page.get_by_text("No chats yet.")).to_be_visible()
    ann.page.context.set_offline(True)
    ann.page.get_by_role("button", name="Your profile").click()
    expect(ann.page.get_by_role("dialog")).to_contain_text("The server cannot be reached.")
    ann.page.get_by_role("button", name="Sign out").click()
    ann.page.wait_for_url("chrome-error://**")
    ann.page.context.set_offline(False)
    ann.visit()
    expect(ann.page.get_by_role("form", name="Welcome back")).to_be_visible()


def test_what_is_the_fault_of_no_field_is_told_above_them(ann: Window, alice: Person) -> None:
    ann.sign_in(alice.username)
    ann.page.get_by_role("button", name="Your profile").click()
    dialog = ann.page.get_by_role("dialog")
    expect(dialog.get_by_label("Username", exact=True)).to_have_value(alice.username)
    ann.page.context.set_offline(True)
    dialog.get_by_label("About you").fill("Down the hole")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog.get_by_role("alert")).to_contain_text("The server cannot be reached.")
    expect(dialog.locator("[aria-invalid]")).to_have_count(0)
    ann.page.context.set_offline(False)
    dialog.get_by_role("button", name="Save").click()
    expect(dialog.get_by_role("status")).to_have_text("Saved.")
    expect(dialog.get_by_role("alert")).to_be_hidden()


def test_a_profile_that_is_opened_again_is_as_new(ann: Window, alice: Person) -> None:
    ann.sign_in(alice.username)
    ann.page.get_by_role("button", name="Your profile").click()
    dialog = ann.page.get_by_role("dialog")
    username = dialog.get_by_label("Username", exact=True)
    username.fill("1st")
    dialog.get_by_role("button", name="Save").click()
    expect(username).to_have_attribute("aria-invalid", "true")
    dialog.get_by_text("Delete the account").click()
    dialog.get_by_label("Type your username to go on").fill(alice.username)
    dialog.get_by_role("button", name="Close").click()

    ann.page.get_by_role("button", name="Your profile").click()
    expect(username).to_have_value(alice.username)
    expect(dialog.locator("[aria-invalid]")).to_have_count(0)
    expect(dialog.locator(".broken")).to_have_count(0)
    expect(dialog.get_by_label("Type your username to go on")).to_have_value("")


@pytest.mark.provokes(401, 409)
def test_an_account_whose_answer_was_lost_is_ones_own(ann: Window, ben: Window) -> None:
    username = new_name()
    ann.lose_first_answer("**/v1/users/register")
    # Phones put a blank behind a word that they know.
    ann.sign_up(f"{username} ")
    form = ann.page.get_by_role("form", name="Make an account")
    expect(form.get_by_role("alert")).to_contain_text("The server cannot be reached.")
    form.get_by_label("Password").fill("An0ther-password")
    form.get_by_role("button", name="Start chatting").click()
    expect(form.get_by_label("Username")).to_have_accessible_description(re.compile("This username is taken"))
    form.get_by_label("Password").fill(PASSWORD)
    form.get_by_role("button", name="Start chatting").click()
    expect(ann.page.get_by_text(f"tell them yours: @{username}")).to_be_visible()
    ben.sign_up(username)
    form = ben.page.get_by_role("form", name="Make an account")
    expect(form.get_by_label("Username")).to_have_accessible_description(re.compile("This username is taken"))


def test_a_blank_is_no_draft(ann: Window, alice: Person, bob: Person) -> None:
    alice.chat_with(bob)
    ann.sign_in(alice.username)
    ann.open("Somebody")
    ann.composer.fill(" ")
    ann.page.get_by_role("button", name="Your profile").click()
    ann.page.get_by_role("button", name="Sign out").click()
    expect(ann.page.get_by_role("form", name="Welcome back")).to_be_visible()


def test_a_button_is_still_under_the_pointer_when_it_is_released(ann: Window, alice: Person) -> None:
    """In a dialog as high as the window, where what vanishes above moves what is below by all of its height."""
    ann.sign_in(alice.username)
    ann.page.get_by_role("button", name="Your profile").click()
    dialog = ann.page.get_by_role("dialog")
    dialog.get_by_text("Change the password").click()
    dialog.get_by_label("About you").fill("Down the hole")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog.get_by_role("status")).to_have_text("Saved.")
