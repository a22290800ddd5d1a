"""What the system tells of a process's signals."""

from pathlib import Path


def is_taken(pid: int, number: int) -> bool:
    """Whether none of that number waits for the process to take it."""
    status = Path(f"/proc/{pid}/status").read_text()
    pending = next(line.split()[1] for line in status.splitlines() if line.startswith("ShdPnd:"))
    return not int(pending, 16) >> (number - 1) & 1
