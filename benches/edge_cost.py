"""The CPU time of a send through the edge beside that of a request which Granian's bare handler answers.

Short and with a client in this process, so that it needs nothing that CI does not have: the guard measures it. The two
servers are asked in turn, so that what else runs on the machine meets both.
"""

import asyncio
import json
import os

import psutil

from benches import straight
from benches.edge_figures import edge
from benches.figures import Figure
from benches.process import pinned
from benches.send_cost import Pair
from loadtest.peers import GRANIAN, peers
from loadtest.sampler import tree_cpu_sec

ROUNDS = 4
REQUESTS = 320 * straight.CONNECTIONS  # of a round, a second or two


def measure() -> list[Figure]:
    cores = os.sched_getaffinity(0)
    granian = next(peer for peer in peers() if peer.name == GRANIAN)
    with edge(cores, threads=1) as server, pinned(cores), granian.started() as bare:
        pair = Pair.introduced(server)
        message = {"message": {"chat_id": pair.chat_id, "payload": "Shall we meet at the old bridge after work?"}}
        body = json.dumps(message).encode()
        send = straight.post("/v1/messages/send", str(pair.sender.token), body)
        asked = {server.url: psutil.Process(server.pid), bare.url: bare.process}
        for url in asked:
            asyncio.run(straight.ask(url, send, REQUESTS))
        costs = dict.fromkeys(asked, 0.0)
        for _ in range(ROUNDS):
            for url, process in asked.items():
                before = tree_cpu_sec(process)
                asyncio.run(straight.ask(url, send, REQUESTS))
                costs[url] += tree_cpu_sec(process) - before
        sent = (ROUNDS + 1) * REQUESTS
        arrived = pair.drain()
        assert arrived == sent, f"{sent} sends were accepted and {arrived} messages arrived"
    ours, theirs = (cost / (ROUNDS * REQUESTS) * 1e6 for cost in costs.values())
    return [Figure("CPU time of a send, by a slow client", ours, "us", "Granian's bare handler", theirs)]
