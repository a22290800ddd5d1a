"""The page's files, as they are on disk and as they are served."""

import json
import re

from pychat.web.files import FOLDER, read_page


def test_every_module_and_sheet_is_served() -> None:
    files = read_page().files
    sections = json.loads(files["main.js.map"].content)["sections"]
    modules = {path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*.js")}
    assert {name for section in sections for name in section["map"]["sources"]} == modules
    for sheet in FOLDER.glob("styles/*.css"):
        assert sheet.read_bytes() in files["main.css"].content


def test_nothing_is_inline_and_nothing_from_elsewhere() -> None:
    index = (FOLDER / "index.html").read_text()
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", index)
    assert set(re.findall(r'(?:src|href)="([^"#]+)', index)) == {"/page/main.js", "/page/main.css", "/page/icon.svg"}


def test_no_text_can_become_markup() -> None:
    for module in FOLDER.rglob("*.js"):
        found = re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function", module.read_text()
        )
        assert not found, f"{module}: {found}"


def test_the_version_is_that_of_the_content() -> None:
    assert read_page().version == read_page().version
    assert f'src="/page/{read_page().version}/main.js"'.encode() in read_page().index.content
