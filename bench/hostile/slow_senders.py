"""Connections that begin a request and never finish it."""
import asyncio, time

from . import wire
from .measure import CLIENT_TIMEOUT, MB, Gateway, Measured

# How many connections send their beginning at the same time: more would only measure this program.
AT_ONCE = 32
# Behind it, a byte every second: whoever waits for silence waits in vain.
DRIP = 1.0

# What every kind is given: the patience with slow clients, that with a head, and a margin.
BODY_TIME, HEAD_TIME = CLIENT_TIMEOUT + 20, 45

# For fifteen hundred connections, so 40 KB each. Nobody has signed in.
MOST_GROWTH_MB = 60
# Except these: 250 heads of 64 KB, and 500 bodies in chunks, whose connections' buffers grow to 64 KB before they are refused.
HEADS_MB, CHUNKS_MB = 16, 32

SIGN_INS = ("/admin/api/v1/session", "/admin/api/v1/claim", "/admin/api/login")


class Sender:
    """One connection: how it begins, what it drips, and when it was cut."""

    def __init__(self, name, start, drop=b"a", period=DRIP):
        self.name, self.start, self.drop, self.period, self.cut = name, start, drop, period, None

    async def hold(self, port, at_once, until):
        began = time.perf_counter()
        writer = None
        try:
            reader, writer = await wire.connect(port)
            async with at_once:
                await asyncio.wait_for(self.begin(writer), 5)
        except asyncio.TimeoutError:
            # The server takes no more of it; what matters is whether it cuts.
            pass
        except OSError:
            self.cut = time.perf_counter() - began
            return
        try:
            closed = asyncio.ensure_future(self.closed(reader))
            while not (closed.done() or time.perf_counter() > until):
                writer.write(self.drop)
                await asyncio.wait([closed], timeout=self.period)
            if closed.done():
                self.cut = time.perf_counter() - began
            closed.cancel()
        finally:
            writer.transport.abort()

    async def begin(self, writer):
        for at in range(0, len(self.start), 2**16):
            writer.write(self.start[at:at + 2**16])
            await writer.drain()

    async def closed(self, reader):
        try:
            while await reader.read(2**16):
                pass
        except OSError:
            pass


async def attack(port, senders, seconds):
    until, at_once = time.perf_counter() + seconds, asyncio.Semaphore(AT_ONCE)
    await asyncio.gather(*(sender.hold(port, at_once, until) for sender in senders))


def announced(path, length, begun):
    return wire.head("POST", path, length) + b"[" * begun


def in_chunks(path, begun):
    return wire.head("POST", path, headers=["Content-Type: application/json", "Transfer-Encoding: chunked"]) + b"%x\r\n" % begun + b"[" * begun


def run(bench, table):
    gateway = Gateway(bench, upstream="simulated")
    # Just under the megabyte that the admin API reads at most.
    large = [Sender("sign-in", announced(SIGN_INS[i % 3], MB - 1, MB - 4096)) for i in range(1500)]
    with Measured(gateway) as measured:
        asyncio.run(attack(gateway.port, large, BODY_TIME))
    row(table, measured, "1,500 sign-ins of 1 MB, dripped", large, BODY_TIME, MOST_GROWTH_MB)
    gateway.restart()
    small = [Sender("sign-in of 4 KB", announced(SIGN_INS[i % 3], 4096, 100)) for i in range(500)]
    chunked = [Sender("sign-in in chunks", in_chunks(SIGN_INS[i % 3], MB // 2) + b"\r\n", b"1\r\n[\r\n") for i in range(500)]
    heads = [Sender("head", b"GET /v1/models HTTP/1.1\r\nHost: a\r\nX-A: " + b"a" * (MB // 2)) for _ in range(250)]
    heads += [Sender("head line by line", b"GET /v1/models HTTP/1.1\r\n", b"X-A: a\r\n") for _ in range(250)]
    with Measured(gateway) as measured:
        asyncio.run(attack(gateway.port, small + chunked + heads, HEAD_TIME))
    row(table, measured, "500 small sign-ins, 500 in chunks, 500 heads, dripped", small + chunked + heads, HEAD_TIME, MOST_GROWTH_MB + HEADS_MB + CHUNKS_MB)
    gateway.restart()
    with_key = ["Authorization: Bearer sk-bench"]
    body = wire.head("POST", "/v1/chat/completions", 20_000_000 - 1, with_key)
    bodies = [Sender("body on /v1", body, period=5) for _ in range(40)]
    bodies += [Sender("the same without a key", wire.head("POST", "/v1/chat/completions", 20_000_000 - 1), period=5) for _ in range(200)]
    with Measured(gateway) as measured:
        asyncio.run(attack(gateway.port, bodies, BODY_TIME))
    row(table, measured, "240 bodies of 20 MB on /v1, a byte in five seconds", bodies, BODY_TIME, MOST_GROWTH_MB)
    gateway.end()


def row(table, measured, name, senders, seconds, most_mb):
    kinds = {}
    for sender in senders:
        kinds.setdefault(sender.name, []).append(sender.cut)
    found = "; ".join(cuts(kind, times) for kind, times in kinds.items())
    met = measured.growth <= most_mb * MB and all(sender.cut is not None for sender in senders)
    table.row(name, measured, f"+{measured.growth / MB:.0f} MB; {found}", f"≤ +{most_mb} MB, all cut within {seconds} s", met)


def cuts(kind, times):
    cut = [time for time in times if time is not None]
    last = f", the last after {max(cut):.0f} s" if cut else ""
    return f"{kind}: {len(cut)} of {len(times)} cut{last}"
