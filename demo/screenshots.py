"""Takes the README's pictures, as `make screenshots` does: starts the demo, looks at it with Chromium.

On Debian they look best with the packages fonts-inter and fonts-noto-color-emoji.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from playwright.sync_api import Browser, Page, sync_playwright

from demo.fill import PASSWORD

FOLDER = Path(__file__).parents[1] / "docs" / "pictures"
DESKTOP: dict[str, Any] = {"viewport": {"width": 1200, "height": 760}}
PHONE: dict[str, Any] = {
    "viewport": {"width": 375, "height": 760},
    "device_scale_factor": 2,
    "is_mobile": True,
    "has_touch": True,
}


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    schemes: tuple[Literal["light"], Literal["dark"]] = ("light", "dark")
    with demo() as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium") or shutil.which("google-chrome"))
        window(browser, url, DESKTOP, "light").screenshot(path=FOLDER / "welcome.png")
        for scheme in schemes:
            page = signed_in(window(browser, url, DESKTOP, scheme))
            page.get_by_role("link", name="Jonas").click()
            page.get_by_text("Pedalling").last.wait_for()
            page.get_by_role("textbox", name=re.compile("^Message")).fill("Drop by the bakery, they close at")
            take(page, f"chat-{scheme}")
        page = signed_in(window(browser, url, PHONE, "light"))
        take(page, "phone-list")
        page.get_by_role("link", name="Arun").tap()
        page.get_by_role("region", name="Messages").get_by_text("The whole hour").wait_for()
        take(page, "phone-chat")
        browser.close()


@contextmanager
def demo() -> Iterator[str]:
    """The address of a demo server that runs for the `with` block."""
    free = {"PYCHAT_HTTP__LISTEN": "127.0.0.1:0", "PYCHAT_MONITOR__LISTEN": "127.0.0.1:0"}
    process = subprocess.Popen(
        [sys.executable, "-m", "demo"], env={**os.environ, **free}, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    try:
        lines = (re.search(r"to chat\s+(http\S+)", line) for line in process.stdout)
        found = next(filter(None, lines), None)
        assert found, "the demo did not start"
        yield found[1]
    finally:
        process.terminate()
        process.wait()


def window(browser: Browser, url: str, options: dict[str, Any], scheme: Literal["light", "dark"]) -> Page:
    page = browser.new_context(**options, color_scheme=scheme, locale="en-GB").new_page()
    page.goto(url)
    return page


def signed_in(page: Page) -> Page:
    page.get_by_role("button", name="Sign in").click()
    form = page.get_by_role("form", name="Welcome back")
    form.get_by_label("Username").fill("maya")
    form.get_by_label("Password").fill(PASSWORD)
    form.get_by_role("button", name="Sign in").click()
    page.get_by_role("link", name="Jonas").wait_for()
    return page


def take(page: Page, name: str) -> None:
    page.evaluate("Promise.all(document.getAnimations().map((animation) => animation.finished))")
    page.mouse.move(0, 0)
    page.screenshot(path=FOLDER / f"{name}.png")


if __name__ == "__main__":
    main()
