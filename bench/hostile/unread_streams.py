"""Clients that ask for long answers and do not read them."""
import asyncio, json, socket, time

from . import wire
from .measure import CLIENT_TIMEOUT, MB, Gateway, Measured

CLIENTS = 200
# More than the system keeps of one connection, less than an answer may have.
ANSWER_MB = 6
STREAM_TIMEOUT = 8
# From the beginning: the time of an answer, the patience with a client that takes nothing, and a margin.
DEADLINE = STREAM_TIMEOUT + CLIENT_TIMEOUT + 20
# Until it is cut each holds what it has heard so far, half of what an answer may have.
MOST_GROWTH_MB, MOST_LEFT_MB = CLIENTS * 4, 60


def run(bench, table):
    gateway = Gateway(bench, {"stream_timeout": STREAM_TIMEOUT, "request_timeout": STREAM_TIMEOUT})
    key = gateway.admin.ask("/keys", {"name": "does not read", "concurrent_requests": CLIENTS})["keys"][0]
    asked = wire.chat([{"role": "user", "content": f"#!{json.dumps({'kind': 'words', 'mb': ANSWER_MB})}"}], key["key"], stream=True)
    with Measured(gateway, settle=3) as measured:
        clients = [begun(gateway.port, asked) for _ in range(CLIENTS)]
        most, back = watched(gateway, key["id"])
    again = asyncio.run(wire.exchange(gateway.port, wire.chat([{"role": "user", "content": "hello"}], key["key"]), 10))
    for client in clients:
        client.close()
    left = measured.after - measured.before
    found = (f"+{measured.growth / MB:.0f} MB ({measured.growth / MB / CLIENTS:.2f} each), then +{left / MB:.0f} MB; {most[0]} slots of the key and "
             f"{most[1]} of the accounts taken, {'all back after %.0f s' % back if back else 'not back'}; the key then: {again.status}")
    limit = f"≤ +{MOST_GROWTH_MB} MB, then ≤ +{MOST_LEFT_MB} MB; back within {DEADLINE} s of a stream_timeout of {STREAM_TIMEOUT} s"
    is_met = (measured.growth <= MOST_GROWTH_MB * MB and left <= MOST_LEFT_MB * MB and back is not None and again.status == 200)
    table.row(f"{CLIENTS} streams that nobody reads", measured, found, limit, is_met)
    gateway.end()


def begun(port, asked):
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.bind((wire.ATTACKER, 0))
    client.connect(("127.0.0.1", port))
    client.sendall(asked)
    return client


def watched(gateway, key):
    """The most slots that were taken, and when all had come back."""
    began, most = time.perf_counter(), (0, 0)
    while (passed := time.perf_counter() - began) < DEADLINE:
        of_key = next(item["in_flight"] for item in gateway.admin.ask("/keys")["items"] if item["id"] == key)
        most = max(most, (of_key, gateway.admin.ask("/accounts/summary")["in_flight"]))
        # Honest clients hold one of an account now and then.
        if most[0] and not of_key and gateway.admin.ask("/accounts/summary")["in_flight"] < 10:
            return most, passed
        time.sleep(0.25)
    return most, None
