"""Locust's history as the charts and the progress read it."""

from pathlib import Path

import pytest

from loadtest.history import latest_requests, read_history, read_requests

HEAD = "Timestamp,User Count,Type,Name,Requests/s,Failures/s,50%,95%,99%\n"


@pytest.fixture
def history(tmp_path: Path) -> Path:
    file = tmp_path / "history.csv"
    seconds = [
        f"{second},4,GET,poll,3.0,0.5,1,2,3\n"
        f"{second},4,POST,send,{second - 100}.0,0.0,N/A,N/A,N/A\n"
        f"{second},4,DELIVERY,message,50.0,0.0,4,5,6\n"
        f"{second},4,CHECK,lost,7.0,7.0,0,0,0\n"
        f"{second},4,,Aggregated,99.0,9.0,1,2,3\n"
        for second in range(100, 1_200)
    ]
    file.write_text(HEAD + "".join(seconds))
    return file


def test_throughput_is_of_http_requests_alone(history: Path) -> None:
    moments = read_requests(history)
    assert [(m.second, m.users, m.per_second, m.failed_per_second) for m in moments[:3]] == [
        (0, 4, 3, 0.5),
        (1, 4, 4, 0.5),
        (2, 4, 5, 0.5),
    ]
    assert len(moments) == 1_100


def test_the_rows_of_one_name(history: Path) -> None:
    assert [m.p95_ms for m in read_history(history, "message")[:2]] == [5, 5]
    assert [m.p95_ms for m in read_history(history, "send")[:2]] == [None, None]


def test_the_latest_second_that_is_whole(history: Path) -> None:
    whole = read_requests(history)[-2].per_second
    with history.open("a") as file:
        file.write("1200,4,GET,poll,1")
    latest = latest_requests(history)
    assert latest is not None
    assert latest.per_second == whole


def test_there_is_no_latest_second_at_the_start(tmp_path: Path) -> None:
    file = tmp_path / "history.csv"
    file.write_text(HEAD)
    assert latest_requests(file) is None
