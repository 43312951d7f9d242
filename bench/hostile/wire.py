"""Requests as an attacker sends them, from an address of his own."""
import asyncio, dataclasses, json, time

ATTACKER = "127.0.0.66"


def head(method, path, length=None, headers=()):
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", *headers]
    if length is not None:
        lines += ["Content-Type: application/json", f"Content-Length: {length}"]
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


def post(path, body, headers=()):
    body = json.dumps(body).encode()
    return head("POST", path, len(body), ["Connection: close", *headers]) + body


def chat(messages, key="sk-bench", stream=False):
    return post("/v1/chat/completions", {"model": "grok-4.2", "stream": stream, "messages": messages}, [f"Authorization: Bearer {key}"])


@dataclasses.dataclass
class Answer:
    """What came, and whether it came to an end in time."""
    status: int = 0
    size: int = 0
    seconds: float = 0.0
    is_whole: bool = False
    # The end of the body.
    tail: bytes = b""


async def connect(port):
    return await asyncio.open_connection("127.0.0.1", port, local_addr=(ATTACKER, 0))


async def exchange(port, request, patience):
    """Sends a request and reads the answer until the server closes, keeping nothing of it but its end."""
    answer, began = Answer(), time.perf_counter()

    async def talk():
        reader, writer = await connect(port)
        try:
            writer.write(request)
            while piece := await reader.read(2**18):
                if not answer.size:
                    answer.status = int(piece.split(b" ", 2)[1])
                answer.size += len(piece)
                answer.tail = (answer.tail + piece)[-600:]
            answer.is_whole = True
        finally:
            writer.close()
    try:
        await asyncio.wait_for(talk(), patience)
    except (asyncio.TimeoutError, OSError):
        pass
    answer.seconds = time.perf_counter() - began
    return answer
