"""Many small modules and sheets, served as one script and one style sheet.

A browser opens six connections to a host over HTTP/1.1, so dozens of files come in rounds; two come at once. The files
stay what browsers understand as they stand: what is joined is that part of the language which the page uses, and
lines that would import, export or await otherwise are refused. Lines are looked at one by one, also within comments and
texts of several lines, which is why those here do not begin with such words. Line breaks stay where they are, so that a
source map is a list of where each module begins.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

IMPORT = re.compile(r'import (?:\* as (?P<all>\w+)|(?P<some>\{ \w+(?:, \w+)* \})) from "(?P<path>\.{1,2}/[\w./]+)";')
EXPORT = re.compile(r"export (?=(?:async function|function|class|const) (?P<name>\w+))")
# What begins a line or a statement so, or is written so anywhere, and was not understood.
OTHER = re.compile(r"(?:^|;)\s*(?:import|export)\b|\bimport\s*[.(]")
# A module may wait while it is loaded; a function may not, unless it is `async`, which those within a module may be.
AWAIT = re.compile(r"^(?!.*\basync\b)(?:\S.*)?\bawait\b")
# Of a line before all imports.
COMMENT = re.compile(r"\s*(?:$|//|/?\*)")
SHEET = re.compile(r'^@import "(?P<path>[\w./]+)";$', re.MULTILINE)


class CannotJoinError(Exception):
    """A file has something in it that the joining does not know; the text says where."""


@dataclass(frozen=True)
class Module:
    """One module: its text, and the same as the body of a function that returns what it exports."""

    name: str
    text: str
    body: list[str]
    exports: list[str]


def join_modules(folder: Path, first: str, map_name: str) -> tuple[str, str]:
    """The script that does what the module `first` does, with all that it imports; and its source map."""
    modules: dict[str, Module] = {}
    _add(folder.resolve(), first, modules, ())
    lines = ["const modules = {};"]
    sections = []
    for module in modules.values():
        lines.append(f"modules[{json.dumps(module.name)}] = (() => {{")
        sections.append({"offset": {"line": len(lines), "column": 0}, "map": _line_by_line(module)})
        lines += [*module.body, f"return {{ {', '.join(module.exports)} }};", "})();"]
    lines += [f"//# sourceMappingURL={map_name}", ""]
    return "\n".join(lines), json.dumps({"version": 3, "sections": sections})


def join_sheets(folder: Path, first: str) -> str:
    """The sheet `first` with those that it imports in their places."""
    text = SHEET.sub(lambda found: _read(folder / found["path"]), _read(folder / first))
    if "@import" in text:
        raise CannotJoinError(f"{first}: only lines like '@import \"styles/name.css\";' in this file itself are joined")
    return text


def _add(folder: Path, name: str, modules: dict[str, Module], importers: Iterable[str]) -> None:
    """Adds the module after those that it imports, in the order in which a browser runs them."""
    if name in modules:
        return
    if name in importers:
        raise CannotJoinError(f"modules import each other in a circle: {' -> '.join([*importers, name])}")
    body = []
    exports = []
    text = _read(folder / name)
    is_begun = False
    # Python would break lines at more than JavaScript does.
    for number, line in enumerate(text.removesuffix("\n").split("\n"), start=1):
        where = f"{name}, line {number}"
        if found := IMPORT.fullmatch(line):
            if is_begun:
                raise CannotJoinError(
                    f"{where}: imports are joined where they stand, so they stand before what uses them"
                )
            imported = _imported(folder, name, found["path"], where)
            _add(folder, imported, modules, [*importers, name])
            for wanted in re.findall(r"\w+", found["some"] or ""):
                if wanted not in modules[imported].exports:
                    raise CannotJoinError(f"{where}: {found['path']} exports no {wanted}")
            body.append(f"const {found['all'] or found['some']} = modules[{json.dumps(imported)}];")
            continue
        found = EXPORT.match(line)
        rest = line.removeprefix("export ") if found else line
        if OTHER.search(rest) or AWAIT.search(rest):
            raise CannotJoinError(f"{where}: the joining of modules does not know this: {line.strip()}")
        if found:
            exports.append(found["name"])
        body.append(rest)
        is_begun = is_begun or not COMMENT.match(line)
    modules[name] = Module(name, text, body, exports)


def _imported(folder: Path, name: str, written: str, where: str) -> str:
    """The name of the module that `name` imports as `written`."""
    path = ((folder / name).parent / written).resolve()
    if not path.is_file() or not path.is_relative_to(folder):
        raise CannotJoinError(f"{where}: there is no module {written}")
    return path.relative_to(folder).as_posix()


def _read(path: Path) -> str:
    """The file's text, whatever the machine's own encoding is."""
    return path.read_text(encoding="utf-8")


def _line_by_line(module: Module) -> dict[str, object]:
    """The source map of a text whose lines are those of the source: each is "one line on" from the one before."""
    mappings = ";".join(["AAAA", *["AACA"] * (len(module.body) - 1)])
    return {"version": 3, "sources": [module.name], "sourcesContent": [module.text], "names": [], "mappings": mappings}
