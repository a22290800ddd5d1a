"""`make flamegraph`: where the CPU time goes under load: that of all threads of the server, Python and Rust, and of the
processes of its Postgres, in one picture.

py-spy sees the threads that run Python, native frames included; perf sees all. They record one after the other: py-spy
stops all threads for each sample, which wakes those that sleep. perf samples what is on a core; py-spy also what waits
for one. So only the shares within a thread are taken from samples; what it has in all is the CPU time that the kernel
gave it while perf recorded. inferno folds and draws.
"""

import asyncio
import re
import shutil
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import asyncpg
import click

from loadtest.driver_process import driving
from tests.support.folder import servers_folder
from tests.support.postgres import Postgres, execute
from tests.support.server import Options, Server, running

ROOT: Final = Path(__file__).parent.parent
INFERNO: Final = ROOT / "target" / "tools" / "bin"
SAMPLES_PER_SEC: Final = 199  # not a divisor of what timers do
STACK_BYTES: Final = 16_384  # of each sample perf copies this much to unwind it by
LOGINS_PER_SEC: Final = 1  # so that the threads that hash passwords, and Granian's, have something to do
WIDEST: Final = 25
# What a thread that has nothing to do is in; py-spy takes some of them for busy.
WAITS: Final = re.compile(r"_queue_SimpleQueue_get_impl|;(epoll_pwait|syscall) \([^;]*$")
# Frames that say what is being done; around them are the loops of tokio, hyper, asyncio, the interpreter and Postgres.
TELLING: Final = re.compile(
    r"pychat_core::(api|hub|edge::router)|\(pychat/|__x64_sys_|hyper::proto::h1::(role|conn|io)|jsonwebtoken|hmac|sha2|"
    r"serde_json|\(asyncpg/|argon2|^(CommitTransaction|CopyFrom|DoCopy|XLogFlush|ExecInsertIndexTuples|heap_multi_insert)$"
)
NANOS: Final = 1_000_000_000

Stacks = dict[int, Counter[str]]
"""Samples by thread and stack, the frames from the outermost."""


@click.command()
@click.option("--seconds", default=15, show_default=True, type=click.IntRange(1, 600))
@click.option("--rate", default=10_000, show_default=True, help="Sends a second.")
@click.option("--out", default=ROOT / "docs" / "pictures" / "flamegraph.svg", type=click.Path(path_type=Path))
def main(seconds: int, rate: int, out: Path) -> None:
    """Records a server of its own under load for SECONDS, draws OUT and prints its widest frames."""
    _require_tools()
    with _server() as server:
        load = {"rate": rate, "duration": 2 * seconds + 30, "idle_polls": 500, "logins": LOGINS_PER_SEC}
        with driving(server.url, **load):
            click.echo(f"recording twice {seconds} s at {rate:,} sends a second")
            folded = _record(server, seconds)
    out.parent.mkdir(parents=True, exist_ok=True)
    title = f"pychat: CPU time at {rate:,} stored sends and {LOGINS_PER_SEC} sign-in a second with 500 held polls"
    drawn = subprocess.run(
        [INFERNO / "inferno-flamegraph", "--title", title, "--countname", "ns", "--hash", "--minwidth", "0.3"],
        input=folded.encode(),
        stdout=subprocess.PIPE,
        check=True,
    )
    out.write_bytes(drawn.stdout)
    click.echo(_widest(folded))
    click.echo(f"picture: {out}")


@contextmanager
def _server() -> Iterator[Server]:
    """With a Postgres that can be asked which of its processes is whose."""
    limits = {"token_refill_amount": 100_000, "max_rps_per_user": 100_000}
    with servers_folder() as folder:
        postgres = Postgres(folder / "postgres")
        postgres.start()
        try:
            url = postgres.new_database()
            # As in service, unlike in tests.
            execute(url, "ALTER SYSTEM RESET fsync")
            execute(url, "SELECT pg_reload_conf()")
            environment = {"PYCHAT_DATABASE__URL": url, "PYCHAT_DATABASE__DATA_DIR": str(folder / "data")}
            with running(Options(folder, environment, {"SEND_LIMITER_CONFIG": limits})) as server:
                yield server
        finally:
            postgres.close()


def _require_tools() -> None:
    if shutil.which("perf") is None:
        sys.exit("This needs perf (Debian: apt-get install linux-perf).")
    if not (INFERNO / "inferno-flamegraph").exists():
        click.echo("building inferno, which draws flamegraphs, into target/tools")
        subprocess.run(
            ["cargo", "install", "--quiet", "--locked", "--root", INFERNO.parent, "inferno@0.12.8"], check=True
        )


def _record(server: Server, seconds: int) -> str:
    """Folded stacks: a line each, frames from the outermost, and its CPU time in nanoseconds."""
    folder = server.options.folder
    python_file, perf_file = folder / "python.folded", folder / "perf.data"
    processes = asyncio.run(_postgres_processes(server.database_url))
    perf = ["perf", "record", "--quiet", "--freq", str(SAMPLES_PER_SEC), "--call-graph", f"dwarf,{STACK_BYTES}"]
    perf += ["--pid", ",".join(map(str, [server.pid, *processes])), "--output", str(perf_file)]
    before = _cpu_nanos(server.pid, processes)
    subprocess.run([*perf, "--", "sleep", str(seconds)], check=True)
    after = _cpu_nanos(server.pid, processes)
    spying = [str(Path(sys.executable).with_name("py-spy")), "record", "--native", "--threads", "--format", "raw"]
    spying += ["--rate", str(SAMPLES_PER_SEC), "--duration", str(seconds)]
    spying += ["--output", str(python_file), "--pid", str(server.pid)]
    spied = subprocess.run(spying, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
    if spied.returncode:
        sys.exit(f"py-spy failed: {spied.stderr}")
    script = subprocess.run(
        ["perf", "script", "--no-inline", "--input", perf_file],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=True,
    )
    collapsed = subprocess.run(
        [INFERNO / "inferno-collapse-perf", "--tid"], input=script.stdout, stdout=subprocess.PIPE, check=True
    )
    python, names = python_stacks(python_file.read_text().splitlines())
    native = native_stacks(collapsed.stdout.decode().splitlines())
    roots = _threads(server.pid)
    roots |= {thread: f"Python;{name}" for thread, name in names.items()}
    roots |= {process: f"Postgres;{name}" for process, name in processes.items()}
    spent = {thread: nanos - before.get(thread, 0) for thread, nanos in after.items() if thread in roots}
    return weighed({**native, **python}, roots, spent)


async def _postgres_processes(url: str) -> dict[int, str]:
    """What each of the database server's processes is for."""
    connection = await asyncpg.connect(url)
    try:
        rows = await connection.fetch(
            "SELECT pid, coalesce('session of ' || nullif(application_name, ''), backend_type) AS name "
            "FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
        )
    finally:
        await connection.close()
    return {row["pid"]: row["name"] for row in rows}


def _threads(pid: int) -> dict[int, str]:
    """The threads of the process by the names that the kernel has for them. What is neither the edge's nor runs Python
    is Granian's; some of that has no name but the process's."""
    comms = {int(task.name): (task / "comm").read_text().strip() for task in Path(f"/proc/{pid}/task").iterdir()}
    return {
        thread: f"edge;{comm}" if comm.startswith("edge") else f"Granian;{'unnamed' if comm == comms[pid] else comm}"
        for thread, comm in comms.items()
    }


def _cpu_nanos(pid: int, processes: Iterable[int]) -> dict[int, int]:
    """CPU time so far of each thread of `pid`, and of these processes, by the id that the kernel has for both."""
    tasks = [*Path(f"/proc/{pid}/task").iterdir(), *(Path(f"/proc/{process}") for process in processes)]
    nanos = {}
    for task in tasks:
        with suppress(FileNotFoundError, ProcessLookupError):  # one that has just ended
            nanos[int(task.name)] = int((task / "schedstat").read_text().split()[0])
    return nanos


def python_stacks(lines: Iterable[str]) -> tuple[Stacks, dict[int, str]]:
    """What py-spy saw, without what waits, and the names that Python has for its threads. Those without one only call
    into Python now and then: perf sees more of them."""
    stacks: Stacks = defaultdict(Counter)
    names = {}
    for line in lines:
        stack, _, count = line.rpartition(" ")
        root, _, frames = stack.partition(";")
        named = re.fullmatch(r"thread \((\d+)\): (.+)", root)
        if named:
            names[int(named[1])] = named[2]
            if not WAITS.search(stack):
                stacks[int(named[1])][frames] += int(count)
    return stacks, names


def native_stacks(lines: Iterable[str]) -> Stacks:
    """What perf saw."""
    stacks: Stacks = defaultdict(Counter)
    for line in lines:
        stack, _, count = line.rpartition(" ")
        root, _, frames = stack.partition(";")
        stacks[int(root.rpartition("/")[2])][frames] += int(count)
    return stacks


def weighed(stacks: Stacks, roots: Mapping[int, str], spent: Mapping[int, int]) -> str:
    """Each thread's stacks below its root, so that together they come to the CPU time that it had, in nanoseconds; the
    root alone where nobody saw it at work."""
    folded: Counter[str] = Counter()
    for thread, nanos in spent.items():
        samples = stacks.get(thread) or Counter({"": 1})
        for stack, count in samples.items():
            folded[f"{roots[thread]};{stack}".rstrip(";")] += round(nanos * count / samples.total())
    return "".join(f"{stack} {nanos}\n" for stack, nanos in folded.items() if nanos)


def _widest(folded: str) -> str:
    """What each group of threads had, and the telling frames in which most of the time was spent, callees included."""
    total, roots, frames = 0, Counter[str](), Counter[str]()
    for line in folded.splitlines():
        stack, _, count = line.rpartition(" ")
        nanos = int(count)
        group, thread, *called = stack.split(";")
        total += nanos
        roots.update({group: nanos, f"{group}: {thread}": nanos})
        frames.update(dict.fromkeys({_plain(frame) for frame in called}, nanos))
    shares = [(count / total, frame) for frame, count in sorted(roots.items())]
    threads = [f"{share:7.1%}  {frame}" for share, frame in shares]
    telling = [(frame, count) for frame, count in frames.most_common() if TELLING.search(frame)]
    widest = [f"{count / total:7.1%}  {frame}" for frame, count in telling[:WIDEST]]
    return "\n".join([f"share of {total / NANOS:.1f} s of CPU time:", *threads, "", "callees included:", *widest])


def _plain(frame: str) -> str:
    """A frame without the hash that Rust's names end with and without its line."""
    return re.sub(r"::h[0-9a-f]{16}$|:\d+\)?$", "", frame)


if __name__ == "__main__":
    main()
