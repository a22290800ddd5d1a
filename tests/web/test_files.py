"""The page's files, as they are on disk."""

import re

from pychat.web.files import FOLDER, read_page

PRELOADED = re.compile(r'<link rel="modulepreload" href="/page/([^"]+)">')
IMPORTED = re.compile(r'^(?:import|\} from|export .* from) ?.*"(\.[^"]+)";$', re.MULTILINE)


def test_every_module_is_loaded_at_once() -> None:
    index = (FOLDER / "index.html").read_text()
    modules = {path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*.js")}
    assert set(PRELOADED.findall(index)) == modules - {"main.js"}


def test_every_import_names_a_module() -> None:
    for module in FOLDER.rglob("*.js"):
        for name in IMPORTED.findall(module.read_text()):
            assert (module.parent / name).is_file(), f"{module}: {name}"


def test_nothing_is_inline_and_nothing_from_elsewhere() -> None:
    index = (FOLDER / "index.html").read_text()
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", index)
    assert set(re.findall(r'(?:src|href)="([^"#]*)', index)) - {""} == {
        f"/page/{path.relative_to(FOLDER).as_posix()}" for path in FOLDER.rglob("*.*") if path.name != "index.html"
    }


def test_no_text_can_become_markup() -> None:
    for module in FOLDER.rglob("*.js"):
        found = re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function", module.read_text()
        )
        assert not found, f"{module}: {found}"


def test_the_version_is_that_of_the_content() -> None:
    assert read_page().version == read_page().version
    assert f'src="/page/{read_page().version}/main.js"'.encode() in read_page().index.content
