"""`make flamegraph`: where the server's CPU time goes under load, Python and Rust in one picture.

py-spy sees the threads that run Python, native frames included; perf sees the others (the edge's). perf samples what
is on a core; py-spy also what waits for one, so its samples are weighed by the CPU time that those threads had.
inferno folds and draws both.
"""

import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import click
import psutil

from loadtest.driver_process import driving
from tests.support.server import Options, Server, running

ROOT: Final = Path(__file__).parent.parent
INFERNO: Final = ROOT / "target" / "tools" / "bin"
SAMPLES_PER_SEC: Final = 199  # not a divisor of what timers do
STACK_BYTES: Final = 16_384  # of each sample perf copies this much to unwind it by
WIDEST: Final = 20
# What a thread that has nothing to do is in; py-spy takes some of them for busy.
WAITS: Final = re.compile(r"_queue_SimpleQueue_get_impl|;(epoll_pwait|syscall) \([^;]*$")
# Frames that say what is being done; around them are the loops of tokio, hyper, asyncio and the interpreter.
TELLING: Final = re.compile(
    r"pychat_core::(api|hub|edge::router)|\(pychat/|__x64_sys_|hyper::proto::h1::(role|conn|io)|jsonwebtoken|hmac|sha2|"
    r"serde_json|\(asyncpg/"
)
NANOS: Final = 1_000_000_000


@click.command()
@click.option("--seconds", default=15, show_default=True, type=click.IntRange(1, 600))
@click.option("--rate", default=10_000, show_default=True, help="Sends a second.")
@click.option("--out", default=ROOT / "docs" / "pictures" / "flamegraph.svg", type=click.Path(path_type=Path))
def main(seconds: int, rate: int, out: Path) -> None:
    """Records a server of its own under load for SECONDS, draws OUT and prints its widest frames."""
    _require_tools()
    with TemporaryDirectory(prefix="pychat-flame-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # as root the embedded Postgres runs under another account
        limits = {"token_refill_amount": 100_000, "max_rps_per_user": 100_000}
        options = Options(folder, {"PYCHAT_DATABASE__DATA_DIR": str(folder / "data")}, {"SEND_LIMITER_CONFIG": limits})
        with running(options) as server, driving(server.url, rate=rate, duration=seconds + 10, idle_polls=500):
            click.echo(f"recording {seconds} s at {rate:,} sends a second")
            folded = _record(server, seconds, folder)
    out.parent.mkdir(parents=True, exist_ok=True)
    title = f"pychat: CPU time at {rate:,} stored sends a second with 500 held polls"
    drawn = subprocess.run(
        [INFERNO / "inferno-flamegraph", "--title", title, "--countname", "ns", "--hash", "--minwidth", "0.3"],
        input=folded.encode(),
        stdout=subprocess.PIPE,
        check=True,
    )
    out.write_bytes(drawn.stdout)
    click.echo(_widest(folded))
    click.echo(f"picture: {out}")


def _require_tools() -> None:
    if shutil.which("perf") is None:
        sys.exit("This needs perf (Debian: apt-get install linux-perf).")
    if not (INFERNO / "inferno-flamegraph").exists():
        click.echo("building inferno, which draws flamegraphs, into target/tools")
        subprocess.run(
            ["cargo", "install", "--quiet", "--locked", "--root", INFERNO.parent, "inferno@0.12.8"], check=True
        )


def _record(server: Server, seconds: int, folder: Path) -> str:
    """Folded stacks: a line each, frames from the outermost, and a count."""
    python_threads, perf_data = folder / "python.folded", folder / "perf.data"
    rust_threads = _threads_without_python(server.pid)
    spying = [str(Path(sys.executable).with_name("py-spy")), "record", "--native", "--format", "raw"]
    spying += ["--rate", str(SAMPLES_PER_SEC), "--duration", str(seconds)]
    spying += ["--output", str(python_threads), "--pid", str(server.pid)]
    before = _cpu_sec_but(server.pid, rust_threads)
    spy = subprocess.Popen(spying, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    perf = ["perf", "record", "--quiet", "--freq", str(SAMPLES_PER_SEC), "--call-graph", f"dwarf,{STACK_BYTES}"]
    perf += ["--tid", ",".join(map(str, rust_threads)), "--output", str(perf_data), "--", "sleep", str(seconds)]
    subprocess.run(perf, check=True)
    _, said = spy.communicate()
    if spy.returncode:
        sys.exit(f"py-spy failed: {said}")
    python_sec = _cpu_sec_but(server.pid, rust_threads) - before
    script = subprocess.run(
        ["perf", "script", "--no-inline", "--input", perf_data],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=True,
    )
    collapsed = subprocess.run(
        [INFERNO / "inferno-collapse-perf"], input=script.stdout, stdout=subprocess.PIPE, check=True
    )
    return _weighed(python_threads.read_text().splitlines(), python_sec) + collapsed.stdout.decode()


def _cpu_sec_but(pid: int, threads: list[int]) -> float:
    """CPU time that the process's other threads have had."""
    return sum(
        thread.user_time + thread.system_time for thread in psutil.Process(pid).threads() if thread.id not in threads
    )


def _weighed(stacks: list[str], seconds: float) -> str:
    """Python's stacks, without those that wait, so that together they come to so much CPU time, in nanoseconds as
    perf's do."""
    counted = [(stack, int(count)) for stack, _, count in (line.rpartition(" ") for line in stacks)]
    busy = [(stack, count) for stack, count in counted if not WAITS.search(stack)]
    each = seconds * NANOS / max(1, sum(count for _, count in busy))
    return "".join(f"Python threads;{stack} {count * each:.0f}\n" for stack, count in busy)


def _threads_without_python(pid: int) -> list[int]:
    """The edge's, by name."""
    tasks = Path(f"/proc/{pid}/task")
    return [int(task.name) for task in tasks.iterdir() if (task / "comm").read_text().startswith("edge")]


def _widest(folded: str) -> str:
    """The telling frames in which most of the time was spent, callees included."""
    total, counts = 0, Counter[str]()
    for line in folded.splitlines():
        stack, _, count = line.rpartition(" ")
        total += int(count)
        counts.update({frame: int(count) for frame in {_plain(frame) for frame in stack.split(";")}})
    shares = [(count / total, frame) for frame, count in counts.most_common()]
    threads = [f"{share:7.1%}  {frame}" for share, frame in shares if re.match(r"Python threads|edge-\d+$", frame)]
    widest = [f"{share:7.1%}  {frame}" for share, frame in shares if TELLING.search(frame)][:WIDEST]
    return "\n".join([f"share of {total / NANOS:.1f} s of CPU time, callees included:", *threads, "", *widest])


def _plain(frame: str) -> str:
    """A frame without the hash that Rust's names end with and without its line."""
    return re.sub(r"::h[0-9a-f]{16}$|:\d+\)?$", "", frame)


if __name__ == "__main__":
    main()
