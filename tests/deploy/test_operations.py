"""docs/operations.md leaves nothing out that there is to set or to watch."""

import re
import tomllib
from pathlib import Path

import msgspec
import pytest

from pychat.dynconf.schemas import DynamicConfig
from tests.support.door import through_the_edge
from tests.support.server import Server
from tests.support.wait import wait_until

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "operations.md").read_text()
# In a list of a key's or a metric's own, not by the way.
NAMED = set(re.findall(r"`([\w.]+)`", "\n".join(line for line in GUIDE.splitlines() if line.startswith("| `"))))


def test_every_setting_is_in_it() -> None:
    settings = tomllib.loads((ROOT / "configs" / "pychat.toml").read_text())
    keys = {f"{section}.{name}" for section, names in settings.items() for name in names}
    assert keys - NAMED == set()
    # And none that there is no more.
    assert {name for name in NAMED if name.partition(".")[0] in settings and "." in name} - keys == set()


def test_every_field_of_the_dynamic_config_is_in_it_with_its_default() -> None:
    rows = dict(re.findall(r"^\| `(\w+_CONFIG\.\w+)` \| ([\w,]+) \|", GUIDE, re.MULTILINE))
    defaults = {
        f"{key}.{name}": msgspec.json.encode(value).decode()
        for key, fields in msgspec.to_builtins(DynamicConfig()).items()
        for name, value in fields.items()
    }
    assert {name: value.replace(",", "") for name, value in rows.items()} == defaults


@through_the_edge
def test_every_metric_is_in_it(server: Server) -> None:
    named = {name for name in NAMED if re.match("(chat|http|pychat|process)_", name)}

    def scraped() -> set[str]:
        families = re.findall(r"^# TYPE (\w+)", server.monitor("GET", "/service/monitor").text, re.MULTILINE)
        return {name for name in families if not name.startswith("python_")}

    # Some are there only when what they are about has happened.
    wait_until(lambda: named <= scraped(), "the server shows what the guide names")
    assert scraped() == named


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md", "docs/operations.md"])
def test_its_links_lead_somewhere(document: str) -> None:
    text = (ROOT / document).read_text()
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)", text):
        file, _, anchor = target.partition("#")
        path = ((ROOT / document).parent / file) if file else ROOT / document
        assert path.exists(), target
        headings = re.findall(r"^#+ (.+)$", path.read_text(), re.MULTILINE) if anchor else []
        slugs = {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}
        assert not anchor or anchor in slugs, target
