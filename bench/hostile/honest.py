#!/usr/bin/env python3
"""Honest clients beside an attack: a small chat and a look at /healthz, each several times a second, each on a connection of its own.

`honest.py PORT` says `ready` after the first answers, goes on until its input closes and prints what was felt. The times count from
when a call was due: whoever has to wait for a turn has waited.
"""
import asyncio, json, sys, time

EVERY = 0.1
PATIENCE = 5.0
CHAT = json.dumps({"model": "grok-4.2", "messages": [{"role": "user", "content": "Good morning."}]}).encode()


def request(method, path, body=b"", headers=()):
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", "Connection: close", *headers]
    if body or method == "POST":
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


CALLS = {"chat": request("POST", "/v1/chat/completions", CHAT, ["Authorization: Bearer sk-bench"]), "healthz": request("GET", "/healthz")}


async def succeeds(port, call):
    writer = None
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(call)
        answer = await reader.read(-1)
        return answer.startswith(b"HTTP/1.1 200 ")
    except OSError:
        return False
    finally:
        if writer:
            writer.close()


async def probe(port, call, felt):
    began = time.perf_counter()
    good = False
    try:
        good = await asyncio.wait_for(succeeds(port, call), PATIENCE)
    except asyncio.TimeoutError:
        pass
    finally:
        # Also when it is still waiting at the end.
        felt.append((time.perf_counter() - began, good))


def told(felt):
    times = sorted(seconds * 1e3 for seconds, _ in felt)
    at = lambda share: round(times[min(len(times) - 1, int(len(times) * share))], 1)
    return {"calls": len(felt), "good": sum(good for _, good in felt), "p50": at(0.5), "p99": at(0.99)}


async def main(port):
    for call in CALLS.values():
        if not await succeeds(port, call):
            sys.exit("the gateway does not serve an honest client")
    print("ready", flush=True)
    loop = asyncio.get_running_loop()
    ended = loop.run_in_executor(None, sys.stdin.read)
    felt, tasks, due = {name: [] for name in CALLS}, set(), loop.time()
    while not ended.done():
        for name, call in CALLS.items():
            task = asyncio.create_task(probe(port, call, felt[name]))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        due += EVERY
        await asyncio.wait([ended], timeout=max(0, due - loop.time()))
    if tasks:
        _, late = await asyncio.wait(tasks, timeout=1)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
    print(json.dumps({name: told(times) for name, times in felt.items()}), flush=True)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
