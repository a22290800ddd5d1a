"""Modules and sheets become one file each, or are refused with the place that cannot be joined."""

import json
import re
from pathlib import Path

import pytest

from pychat.web.joining import CannotJoinError, join_modules, join_sheets

MAIN = 'import { greet } from "./views/greeting.js";\n\ngreet("you");\n'
GREETING = """/** Says hello. */

import * as words from "../words.js";

export function greet(whom) {
  console.log(words.HELLO, whom);
}
"""
WORDS = """const own = "here alone";
export const HELLO = own && "Hello";
export class Word {}
export async function ask() {}
"""

JOINED = """const modules = {};
modules["words.js"] = (() => {
const own = "here alone";
const HELLO = own && "Hello";
class Word {}
async function ask() {}
return { HELLO, Word, ask };
})();
modules["views/greeting.js"] = (() => {
/** Says hello. */

const words = modules["words.js"];

function greet(whom) {
  console.log(words.HELLO, whom);
}
return { greet };
})();
modules["main.js"] = (() => {
const { greet } = modules["views/greeting.js"];

greet("you");
return {  };
})();
//# sourceMappingURL=main.js.map
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "views").mkdir()
    (tmp_path / "main.js").write_text(MAIN)
    (tmp_path / "views" / "greeting.js").write_text(GREETING)
    (tmp_path / "words.js").write_text(WORDS)
    return tmp_path


def join(folder: Path) -> str:
    return join_modules(folder, "main.js", "main.js.map")[0]


def test_a_module_runs_once_after_those_that_it_imports(folder: Path) -> None:
    assert join(folder) == JOINED
    (folder / "main.js").write_text(f'import {{ HELLO }} from "./words.js";\n{MAIN}console.log(HELLO);')
    assert join(folder).count('modules["words.js"] = ') == 1


def test_the_source_map_leads_to_the_lines_of_the_modules(folder: Path) -> None:
    script, source_map = join_modules(folder, "main.js", "main.js.map")
    sections = json.loads(source_map)["sections"]
    assert [section["map"]["sources"] for section in sections] == [["words.js"], ["views/greeting.js"], ["main.js"]]
    for section in sections:
        source = section["map"]["sourcesContent"][0].splitlines()
        begin = section["offset"]["line"]
        joined = script.splitlines()[begin : begin + len(source)]
        assert section["map"]["mappings"].split(";") == ["AAAA", *["AACA"] * (len(source) - 1)]
        for line, line_joined in zip(source, joined, strict=True):
            assert line.startswith("import ") or line_joined == line.removeprefix("export ")


@pytest.mark.parametrize(
    "line",
    [
        'import "./words.js";',
        'import words from "./words.js";',
        'import { HELLO as hello } from "./words.js";',
        "import { HELLO } from './words.js';",
        'import { HELLO } from "./words.js"',
        'import { HELLO } from "words.js";',
        'import { HELLO } from "https://elsewhere.example/words.js";',
        "import {",
        '  import { HELLO } from "./words.js";',
        'const words = await import("./words.js");',
        "const here = import.meta.url;",
        "export default greet;",
        "export { greet };",
        'export * from "./words.js";',
        "export let changing = 1;",
        "export const { one, other } = both;",
        "export function* greetings() {}",
        "export const one = 1; export const other = 2;",
        'const words = await fetch("/words");',
        "await greet();",
    ],
)
def test_what_it_does_not_know_is_refused(folder: Path, line: str) -> None:
    (folder / "main.js").write_text(f"{MAIN}{line}\n")
    why = f"main.js, line 4: the joining of modules does not know this: {line.strip()}"
    with pytest.raises(CannotJoinError, match=re.escape(why)):
        join(folder)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ('import { GOODBYE } from "./words.js";', "./words.js exports no GOODBYE"),
        ('import { own } from "./words.js";', "./words.js exports no own"),
        ('import { HELLO } from "./werds.js";', "there is no module ./werds.js"),
        ('import { HELLO } from "../words.js";', "there is no module ../words.js"),
    ],
)
def test_what_is_not_there_is_refused(folder: Path, line: str, why: str) -> None:
    (folder / "main.js").write_text(f"{line}\n{MAIN}")
    with pytest.raises(CannotJoinError, match=re.escape(f"main.js, line 1: {why}")):
        join(folder)


def test_what_is_outside_of_the_folder_is_not_there(folder: Path) -> None:
    (folder.parent / "outside.js").write_text("export const HELLO = 1;\n")
    (folder / "main.js").write_text('import { HELLO } from "../outside.js";\n')
    with pytest.raises(CannotJoinError, match=re.escape("main.js, line 1: there is no module ../outside.js")):
        join(folder)


def test_an_import_below_its_use_is_refused(folder: Path) -> None:
    (folder / "main.js").write_text(f"/** The first. */\n\n{MAIN}{MAIN}")
    with pytest.raises(CannotJoinError, match=re.escape("main.js, line 6: imports are joined where they stand")):
        join(folder)


def test_functions_may_wait(folder: Path) -> None:
    line = "export const ask = async () => await fetch();"
    (folder / "words.js").write_text(f"{WORDS}{line}\n")
    assert line.removeprefix("export ") in join(folder).split("\n")


def test_a_line_is_what_javascript_takes_for_one(folder: Path) -> None:
    line = 'const text = "one\u2028import two";'
    (folder / "words.js").write_text(f"{WORDS}{line}\n", encoding="utf-8")
    assert line in join(folder).split("\n")


def test_a_circle_is_refused(folder: Path) -> None:
    (folder / "words.js").write_text(f'import {{ greet }} from "./views/greeting.js";\n{WORDS}')
    with pytest.raises(CannotJoinError, match=r"main\.js -> views/greeting\.js -> words\.js -> views/greeting\.js"):
        join(folder)


def test_sheets_stand_in_the_order_of_their_imports(folder: Path) -> None:
    (folder / "main.css").write_text('/* All. */\n@import "last.css";\n@import "first.css";\n')
    (folder / "first.css").write_text("a { color: red; }\n")
    (folder / "last.css").write_text("p { color: red; }\n")
    assert join_sheets(folder, "main.css") == "/* All. */\np { color: red; }\n\na { color: red; }\n\n"


@pytest.mark.parametrize("line", ['@import url("first.css");', '@import "first.css" screen;', '@import "nested.css";'])
def test_imports_of_sheets_that_it_does_not_know_are_refused(folder: Path, line: str) -> None:
    (folder / "main.css").write_text(f"{line}\n")
    (folder / "nested.css").write_text('@import "first.css";\n')
    with pytest.raises(CannotJoinError, match=r"^main\.css: only lines like"):
        join_sheets(folder, "main.css")
