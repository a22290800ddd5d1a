"""What people write is text and nothing else, but for links."""

from playwright.sync_api import expect

from pychat.web.files import FOLDER
from tests.support.browser import Window
from tests.support.client import Person
from tests.support.door import through_the_edge

pytestmark = through_the_edge

HOSTILE = [
    "<script>document.title = 'caught'</script>",
    "<img src=x onerror=\"document.title = 'caught'\">",
    "javascript:document.title='caught'",
    "&lt;b&gt; &amp; <b>bold</b>",
    "{{7*7}} ${7*7} %s \\u003cscript\\u003e",
]


def test_what_looks_like_a_script_stays_text(ann: Window, alice: Person, bob: Person) -> None:
    evil = "<i onmouseover=alert(1)>x"
    chat_id = alice.chat_with(bob)
    for text in HOSTILE:
        alice.says(chat_id, text)
    ann.sign_in(bob.username)
    ann.open("Somebody")
    expect(ann.texts).to_have_text(HOSTILE)
    expect(ann.row("Somebody")).to_contain_text(HOSTILE[-1])
    ann.write(evil)
    expect(ann.message(evil)).to_be_visible()
    assert ann.page.locator(".message .text *").count() == 0
    expect(ann.page).to_have_title("pychat")


def test_links_lead_where_they_say(ann: Window, alice: Person, bob: Person) -> None:
    text = "See https://example.org/a_(b)?c=d&e=f. And (http://example.org/x), ftp://example.org, https://"
    alice.says(alice.chat_with(bob), text)
    ann.sign_in(bob.username)
    ann.open("Somebody")
    expect(ann.texts).to_have_text([text])
    links = ann.page.locator(".message .text a")
    expect(links).to_have_text(["https://example.org/a_(b)?c=d&e=f", "http://example.org/x"])
    for link in links.all():
        assert link.get_attribute("href") == link.inner_text()
        assert link.get_attribute("rel") == "noopener noreferrer nofollow"


def test_what_looks_like_another_address_is_no_link_or_says_where_it_leads(
    ann: Window, alice: Person, bob: Person
) -> None:
    lines = [
        "https://bank.example@evil.example/login",
        "https://bank.example\u200b.evil.example",
        "https://bank.example\\@evil.example",
        "(参照：https://example.org/道。)",
        "https://\u0430pple.example/",
        "JavaScript:alert(1) data:text/html,x vbscript:x //evil.example",
    ]
    alice.says(alice.chat_with(bob), "\n".join(lines))
    ann.sign_in(bob.username)
    ann.open("Somebody")
    expect(ann.texts).to_have_text(["\n".join(lines)])
    links = ann.page.locator(".message .text a")
    expect(links).to_have_text(
        ["https://bank.example", "https://bank.example", "https://example.org/道", "https://\u0430pple.example/"]
    )
    assert [link.get_attribute("title") for link in links.all()] == [None, None, None, "Leads to xn--pple-43d.example"]


def test_links_with_thousands_of_brackets_are_soon_found(ann: Window) -> None:
    """Time that grows with the square of their number would be minutes here."""
    ann.visit()
    source = (FOLDER / "links.js").read_text(encoding="utf-8").replace("export function", "function")
    text = "http://a.b/" + ")" * 400_000
    found = ann.page.evaluate(f"(text) => {{ {source}; return withLinks(text).querySelector('a').textContent; }}", text)
    assert found == "http://a.b/"
