"""Many small modules and sheets, served as one script and one style sheet.

A browser opens six connections to a host over HTTP/1.1, so dozens of files come in rounds; two come at once. The files
stay what browsers understand as they stand: what is joined is that part of the language which the page uses, and
whatever else would import or export is refused. Line breaks stay where they are, so that a source map is a list of
where each module begins.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

IMPORT = re.compile(r'import (?:\* as (?P<all>\w+)|(?P<some>\{ \w+(?:, \w+)* \})) from "(?P<path>\.{1,2}/[\w./]+)";')
EXPORT = re.compile(r"export (?=(?:async function|function|class|const) (?P<name>\w+))")
# What begins a line so, or is written so anywhere, and was not understood.
OTHER = re.compile(r"^\s*(?:import|export)\b|\bimport\s*[.(]")
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
    text = SHEET.sub(lambda found: (folder / found["path"]).read_text(), (folder / first).read_text())
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
    text = (folder / name).read_text()
    for number, line in enumerate(text.splitlines(), start=1):
        where = f"{name}, line {number}"
        if found := IMPORT.fullmatch(line):
            path = (folder / name).parent / found["path"]
            if not path.is_file():
                raise CannotJoinError(f"{where}: there is no module {found['path']}")
            imported = path.resolve().relative_to(folder).as_posix()
            _add(folder, imported, modules, [*importers, name])
            for wanted in re.findall(r"\w+", found["some"] or ""):
                if wanted not in modules[imported].exports:
                    raise CannotJoinError(f"{where}: {found['path']} exports no {wanted}")
            body.append(f"const {found['all'] or found['some']} = modules[{json.dumps(imported)}];")
        elif found := EXPORT.match(line):
            exports.append(found["name"])
            body.append(line.removeprefix("export "))
        elif OTHER.search(line):
            raise CannotJoinError(f"{where}: the joining of modules does not know this: {line.strip()}")
        else:
            body.append(line)
    modules[name] = Module(name, text, body, exports)


def _line_by_line(module: Module) -> dict[str, object]:
    """The source map of a text whose lines are those of the source: each is "one line on" from the one before."""
    mappings = ";".join(["AAAA", *["AACA"] * (len(module.body) - 1)])
    return {"version": 3, "sources": [module.name], "sourcesContent": [module.text], "names": [], "mappings": mappings}
