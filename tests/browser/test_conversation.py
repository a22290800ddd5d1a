"""Two people, from nothing to talking."""

from playwright.sync_api import expect

from tests.support.browser import Window
from tests.support.client import Person, new_name


def test_two_people_talk(ann: Window, ben: Window) -> None:
    anns_name, bens_name = new_name(), new_name()
    ben.sign_up(bens_name, "Ben Okafor")
    expect(ben.page.get_by_text(f"tell them yours: @{bens_name}")).to_be_visible()

    ann.sign_up(anns_name)
    ann.find(bens_name[:10])
    ann.write("Hello Ben")
    ann.expect_sent("Hello Ben")

    expect(ben.row(anns_name).get_by_label("1 unread")).to_be_visible()
    expect(ben.page).to_have_title("(1) pychat")
    ben.open(anns_name)
    expect(ben.message("Hello Ben")).to_be_visible()
    expect(ben.row(anns_name).get_by_label("unread")).to_be_hidden()
    expect(ben.page).to_have_title("pychat")

    ben.write("Hello Ann\nHow are you?")
    expect(ann.texts).to_have_text(["Hello Ben", "Hello Ann\nHow are you?"])
    expect(ann.page.locator("#announcements")).to_have_text("Ben Okafor: Hello Ann\nHow are you?")


def test_a_reload_keeps_everything(ann: Window, alice: Person, bob: Person) -> None:
    chat_id = alice.chat_with(bob)
    for number in range(3):
        alice.says(chat_id, f"message {number}")
    ann.sign_in(bob.username)
    ann.open("Somebody")
    expect(ann.texts).to_have_text([f"message {number}" for number in range(3)])
    ann.write("an answer")
    ann.expect_sent("an answer")
    ann.composer.fill("half a thou")

    ann.page.reload()
    expect(ann.texts).to_have_text([*[f"message {number}" for number in range(3)], "an answer"])
    expect(ann.composer).to_have_value("half a thou")
    alice.says(chat_id, "still there?")
    expect(ann.message("still there?")).to_be_visible()
