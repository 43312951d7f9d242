"""Requests with keys that nobody has, which must not wash honest ones out of the log."""
import asyncio, random, time

from . import wire
from .measure import MB, Gateway, Measured

HONEST, WRONG, CONNECTIONS = 300, 12_000, 32
MOST_GROWTH_MB, LOWEST_RATE = 30, 0.95
# The log is trimmed once a minute.
TRIMMED_AFTER = 65
PATIENCE = 60


def run(bench, table):
    """Attacks, and gives what is to be called later: it waits for the log to be trimmed and tells what came of it."""
    gateway, began = Gateway(bench, upstream="simulated"), time.perf_counter()
    key = gateway.admin.ask("/keys", {"name": "honest"})["keys"][0]
    good = asyncio.run(served(gateway.port, key["key"]))
    before = success_rate(gateway)
    with Measured(gateway) as measured:
        refused = asyncio.run(flood(gateway.port))
    flooded = success_rate(gateway)

    def conclude():
        time.sleep(max(0, TRIMMED_AFTER - (time.perf_counter() - began)))
        left, trimmed = entries_of(gateway, key["id"]), success_rate(gateway)
        found = (f"+{measured.growth / MB:.0f} MB; {refused:,} refused; of {good} honest entries {left} are left; success rate "
                 f"{before:.0%} before, {flooded:.0%} after, {trimmed:.0%} when the log was trimmed")
        is_met = (measured.growth <= MOST_GROWTH_MB * MB and good == left == HONEST and refused == WRONG
                  and min(flooded, trimmed) >= LOWEST_RATE)
        limit = f"≤ +{MOST_GROWTH_MB} MB, {HONEST} left, rate ≥ {LOWEST_RATE:.0%}"
        table.row(f"{WRONG:,} requests with wrong keys", measured, found, limit, is_met)
        gateway.end()
    return conclude


async def served(port, key):
    good = 0
    for _ in range(HONEST // 10):
        asked = (wire.exchange(port, wire.chat([{"role": "user", "content": "hello"}], key), 10) for _ in range(10))
        good += sum(answer.status == 200 for answer in await asyncio.gather(*asked))
    return good


async def flood(port):
    counts = await asyncio.wait_for(asyncio.gather(*(send(port, WRONG // CONNECTIONS) for _ in range(CONNECTIONS))), PATIENCE)
    return sum(counts)


async def send(port, times):
    """Over one connection, as long as the server keeps it."""
    refused, writer = 0, None
    body = b'{"model":"grok-4.2","messages":[{"role":"user","content":"hello"}]}'
    for _ in range(times):
        key = f"Authorization: Bearer sk-{random.getrandbits(128):032x}"
        if writer is None or writer.is_closing():
            reader, writer = await wire.connect(port)
        writer.write(wire.head("POST", "/v1/chat/completions", len(body), [key]) + body)
        head = await reader.readuntil(b"\r\n\r\n")
        refused += head.startswith((b"HTTP/1.1 401 ", b"HTTP/1.1 429 "))
        length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        await reader.readexactly(length)
        if b"\r\nconnection: close\r\n" in head.lower():
            writer.close()
    writer.close()
    return refused


def entries_of(gateway, key):
    return len(gateway.admin.ask(f"/requests?key={key}&limit=500")["items"])


def success_rate(gateway):
    return gateway.admin.ask("/stats/now")["success_rate_15m"]
