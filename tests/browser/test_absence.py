"""Coming back after a long absence: the newest is soon there, the rest comes when it is looked for."""

import re

import pytest
from playwright.sync_api import APIResponse, Page, Route, expect

from pychat.journal.partitions import now_id
from tests.support.browser import Window
from tests.support.client import Person
from tests.support.door import through_the_edge
from tests.support.postgres import execute
from tests.support.server import Server

pytestmark = through_the_edge

MISSED = 1_500
"""More than is fetched at once (400), and than a page looks back for by itself."""

WRITE_MANY = """
INSERT INTO messages (id, chat, sender, text)
SELECT $4::bigint + n, number, $3, 'missed ' || n FROM chats, generate_series(1, $2::int) n WHERE chats.id = $1
"""

TEXTS = "[...document.querySelectorAll('.message .text')].map((text) => text.textContent)"


@pytest.fixture
def chat_id(alice: Person, bob: Person) -> str:
    return alice.chat_with(bob)


@pytest.fixture
def away(ann: Window, server: Server, chat_id: str, alice: Person, bob: Person) -> Window:
    """Alice's window in her chat with Bob, without a connection; Bob has written much since."""
    for number in range(40):
        write(server, chat_id, bob, 1, f"known {number}")
    bob.says(chat_id, "the last one known")
    ann.sign_in(alice.username)
    ann.open("Somebody")
    ann.page.get_by_role("button", name="Newest").click()
    expect(ann.message("the last one known")).to_be_in_viewport()
    ann.page.context.set_offline(True)
    expect(ann.connection).to_be_visible()
    return ann


def write(server: Server, chat_id: str, sender: Person, count: int, text: str = "missed") -> None:
    sql = WRITE_MANY.replace("'missed ' || n", f"'{text}'") if count == 1 else WRITE_MANY
    execute(server.database_url, sql, chat_id, count, sender.user_id, now_id())


def come_back(window: Window, chat_id: str, bob: Person) -> list[str]:
    """Connects again; returns the pages of messages that are asked for, as they are."""
    asked: list[str] = []
    window.page.on("request", lambda request: asked.append(request.url) if "/messages?" in request.url else None)
    bob.says(chat_id, "the newest")
    window.page.context.set_offline(False)
    return asked


def test_who_was_at_the_end_is_at_the_end_again(
    away: Window, server: Server, chat_id: str, alice: Person, bob: Person
) -> None:
    page = away.page
    write(server, chat_id, bob, MISSED)
    asked = come_back(away, chat_id, bob)
    expect(away.message("the newest")).to_be_in_viewport()
    expect(away.connection).to_be_hidden()
    # Whoever is up to date asks again and again what comes after the newest.
    assert 1 <= len({url for url in asked if "before=" not in url}) <= 6, asked
    assert len(page.evaluate(TEXTS)) < MISSED

    away.write("read all of it")
    away.expect_sent("read all of it")
    scroll_up_to(page, "the last one known")
    texts = page.evaluate(TEXTS)
    expected = [f"missed {n}" for n in range(1, MISSED + 1)]
    first = texts.index("missed 1")
    assert texts[first - 1] == "the last one known"
    assert texts[first:] == [*expected, "the newest", "read all of it"]
    # The line stands where the missed ones begin.
    expect(page.locator(".message", has=page.locator(".new:not([hidden])"))).to_have_count(1)
    expect(page.locator(".message", has=page.locator(".new:not([hidden])"))).to_contain_text("missed 1")


# Where on the screen that message is which was the first in sight; after some frames all that is is laid out.
PLACE = """async () => {
  for (let frame = 0; frame < 4; frame++) await new Promise(requestAnimationFrame);
  const top = (element) => element.getBoundingClientRect().top;
  const edge = top(document.querySelector(".history"));
  window.first ??= [...document.querySelectorAll(".message .bubble")].find((bubble) => top(bubble) > edge);
  return top(window.first);
}"""


def test_who_reads_further_up_stays_there(
    away: Window, server: Server, chat_id: str, alice: Person, bob: Person
) -> None:
    page = away.page
    page.evaluate("document.querySelector('.history').scrollTop = -800")
    expect(page.get_by_role("button", name="Newest")).to_be_visible()
    place = page.evaluate(PLACE)
    write(server, chat_id, bob, MISSED)
    come_back(away, chat_id, bob)
    # Nothing is added after these before one reads on.
    expect(page.get_by_role("button", name="400+ new messages")).to_be_visible()
    assert abs(page.evaluate(PLACE) - place) < 1

    # Who reads on goes through all of it.
    scroll_down_to(page, "the newest")
    texts = page.evaluate(TEXTS)
    assert texts[texts.index("missed 1") :] == [*[f"missed {n}" for n in range(1, MISSED + 1)], "the newest"]
    assert texts.index("the last one known") == texts.index("missed 1") - 1


def test_who_reads_further_up_may_leap_to_the_newest(
    away: Window, server: Server, chat_id: str, alice: Person, bob: Person
) -> None:
    page = away.page
    page.evaluate("document.querySelector('.history').scrollTop = -800")
    write(server, chat_id, bob, MISSED)
    come_back(away, chat_id, bob)
    page.get_by_role("button", name=re.compile(r"\d\+? new messages")).click()
    expect(away.message("the newest")).to_be_in_viewport()
    assert "missed 1" not in page.evaluate(TEXTS)
    expect(away.row("Somebody").get_by_label("unread")).to_be_hidden()


def test_what_one_writes_while_it_leaps_is_there(
    away: Window, server: Server, chat_id: str, alice: Person, bob: Person
) -> None:
    page = away.page
    polls: list[Route] = []
    leaps: list[tuple[Route, APIResponse]] = []

    def hold_poll(route: Route) -> None:
        polls.append(route)

    def hold_leap(route: Route) -> None:
        leaps.append((route, route.fetch()))

    page.evaluate("document.querySelector('.history').scrollTop = -800")
    write(server, chat_id, bob, MISSED)
    come_back(away, chat_id, bob)
    to_newest = page.get_by_role("button", name=re.compile(r"\d\+? new messages"))
    expect(to_newest).to_be_visible()
    # No bell rings from now on.
    page.route(re.compile(r"/messages/poll/[^/]+$"), hold_poll)
    page.route(re.compile(r"/messages\?limit=\d+$"), hold_leap)
    away.wait_for(polls)
    to_newest.click()
    away.wait_for(leaps)
    with page.expect_response(lambda answer: answer.request.method == "POST"):
        away.write("written meanwhile")
    expect(away.row("Somebody")).to_contain_text("You: written meanwhile")
    leaps[0][0].fulfill(response=leaps[0][1])
    away.expect_sent("written meanwhile")
    expect(away.message("written meanwhile")).to_be_in_viewport()
    page.unroute_all()


def scroll_up_to(page: Page, text: str) -> None:
    scroll(page, text, -1)


def scroll_down_to(page: Page, text: str) -> None:
    scroll(page, text, 1)


def scroll(page: Page, text: str, direction: int) -> None:
    """Turns the wheel until the text is there: between two frames, so that the page hears of it as the next begins."""
    page.evaluate(
        """([text, step]) => new Promise((resolve) => {
            const history = document.querySelector(".history");
            (function look() {
                history.scrollBy(0, step);
                const texts = [...document.querySelectorAll(".message .text")];
                if (texts.some((shown) => shown.textContent === text)) resolve();
                else requestAnimationFrame(() => setTimeout(look));
            })();
        })""",
        [text, direction * 1_000],
    )
