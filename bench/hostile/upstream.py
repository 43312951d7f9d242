#!/usr/bin/env python3
"""An upstream that has been taken over: it speaks as much REST of docs/UPSTREAM.md as a chat needs, and answers without a limit.

`upstream.py PORT`. A message that holds `#!{"kind": …, "mb": …}` gets what that says, every other a short answer:

  text, thinking   so many megabytes of either, in tokens of 16 KB
  words            the same in tokens of 200 bytes
  line             one object that does not end
  error            status 429 with so large a body
  pattern          `unit` over and over, `bytes` long, in tokens of 4 KB

With `"gzip": true` the answer is packed: about a thousandth crosses the wire. An account whose token is `huge` is given packed
megabytes whatever it asks.
"""
import json, os, re, signal, socketserver, sys, uuid, zlib

CHAT = re.compile(r"/rest/app-chat/conversations/(new|[^/]+/responses)$")
COMMAND = "#!"
HUGE = {"kind": "object", "mb": 300, "gzip": True}


def quoted(text):
    return json.dumps(text).replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def chunk(payload, answer, thinking=False, soft_stop=False):
    flag = lambda value: "true" if value else "false"
    tag = "summary" if thinking else "final"
    return (f'{{"result":{{"response":{{{payload},"isThinking":{flag(thinking)},"isSoftStop":{flag(soft_stop)},"messageTag":"{tag}",'
            f'"responseId":"{answer}"}}}}}}\n').encode()


def token(text, answer, thinking=False):
    return chunk(f'"token":{quoted(text)}', answer, thinking)


def opening(answer):
    conversation, user = str(uuid.uuid4()), str(uuid.uuid4())
    return (json.dumps({"result": {"conversation": {"conversationId": conversation, "title": "New conversation"}}}) + "\n" +
            json.dumps({"result": {"response": {"userResponse": {"responseId": user, "message": "", "sender": "human"}, "isThinking": False,
                                                "isSoftStop": False, "responseId": user}}}) + "\n").encode()


def closing(answer, message):
    stored = f'"modelResponse":{{"responseId":"{answer}","message":{quoted(message)},"sender":"assistant","partial":false}}'
    return chunk('"token":""', answer, soft_stop=True) + chunk(stored, answer)


def pieces(command):
    """What is said once, what is said over and over, how often, and what at the end."""
    answer, size = str(uuid.uuid4()), int(command.get("mb", 0) * 2**20)
    kind = command.get("kind")
    if kind in ("text", "thinking"):
        said = token("lorem ipsum dolor " * 910, answer, kind == "thinking")
        return opening(answer), said * 64, size // len(said * 64), closing(answer, "")
    if kind == "words":
        said = token("lorem ipsum dolor " * 11, answer) * 64
        return opening(answer), said, size // len(said), closing(answer, "")
    if kind == "line":
        begun = chunk('"token":"', answer).partition(b'"token":"')
        return opening(answer) + begun[0] + begun[1], b"lorem ipsum " * 87381, size // 2**20, b""
    if kind == "error":
        return b'{"error":{"code":8,"message":"', b"too many " * 116508, size // 2**20, b'","details":[]}}'
    if kind == "object":
        return b'{"remainingQueries":1,"totalQueries":"', b"1" * 2**20, size // 2**20, b'"}'
    if kind == "pattern":
        text = command.get("first", "") + command["unit"] * (command["bytes"] // len(command["unit"].encode()))
        said = b"".join(token(text[at:at + 4096], answer) for at in range(0, len(text), 4096))
        return opening(answer) + said, b"", 0, closing(answer, text)
    return opening(answer) + token("Good morning to you.", answer), b"", 0, closing(answer, "Good morning to you.")


class Packed:
    """A gzip stream of a beginning, the same block over and over, and an end. What repeats is packed once: behind a full flush the
    packer has forgotten everything before."""

    def __init__(self):
        self.packer, self.sum, self.size, self.repeated = zlib.compressobj(6, zlib.DEFLATED, -15), 0, 0, {}

    def count(self, data):
        self.sum, self.size = zlib.crc32(data, self.sum), self.size + len(data)

    def begin(self, data):
        self.count(data)
        return b"\x1f\x8b\x08\0\0\0\0\0\0\x03" + self.packer.compress(data) + self.packer.flush(zlib.Z_FULL_FLUSH)

    def again(self, data):
        self.count(data)
        if data not in self.repeated:
            self.repeated[data] = self.packer.compress(data) + self.packer.flush(zlib.Z_FULL_FLUSH)
        return self.repeated[data]

    def end(self, data):
        self.count(data)
        trailer = self.sum.to_bytes(4, "little") + (self.size & 0xFFFFFFFF).to_bytes(4, "little")
        return self.packer.compress(data) + self.packer.flush(zlib.Z_FINISH) + trailer


class Plain:
    def begin(self, data):
        return data

    again = end = begin


class Connection(socketserver.StreamRequestHandler):
    """A process of its own, so that one who floods does not keep the others from being answered."""

    disable_nagle_algorithm = True

    def handle(self):
        try:
            while line := self.rfile.readline():
                headers = {}
                while (header := self.rfile.readline()) not in (b"\r\n", b""):
                    name, _, value = header.decode("latin-1").partition(":")
                    headers[name.strip().lower()] = value.strip()
                body = self.rfile.read(int(headers.get("content-length", 0)))
                if self.answer(line.decode("latin-1").split(" ")[1], headers, body):
                    return
        except ConnectionError:
            pass

    def answer(self, path, headers, body):
        """Whether that was the last answer on this connection."""
        if CHAT.search(path):
            command = command_of(json.loads(body).get("message", ""))
        elif "sso=huge" in headers.get("cookie", ""):
            command = HUGE
        else:
            told = json.dumps(unary(path, headers)).encode()
            self.request.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(told), told))
            return False
        if command:
            # What is measured is the gateway: whoever floods stands behind it and behind honest clients.
            os.nice(10)
        self.say(command)
        return bool(command)

    def say(self, command):
        form, marks = (Packed(), b"Content-Encoding: gzip\r\n") if command.get("gzip") else (Plain(), b"")
        marks += b"Connection: close\r\n" if command else b""
        status = b"429 Too Many Requests" if command.get("kind") == "error" else b"200 OK"
        self.request.sendall(b"HTTP/1.1 %s\r\nContent-Type: application/json\r\n%sTransfer-Encoding: chunked\r\n\r\n" % (status, marks))
        begin, again, times, end = pieces(command)
        self.send(form.begin(begin))
        for _ in range(times):
            self.send(form.again(again))
        if end or command.get("gzip"):
            self.send(form.end(end))
        self.request.sendall(b"0\r\n\r\n")

    def send(self, data):
        self.request.sendall(b"%x\r\n%s\r\n" % (len(data), data))


class Upstream(socketserver.ForkingMixIn, socketserver.TCPServer):
    allow_reuse_address = True
    request_queue_size = 1024
    max_children = 1000


def unary(path, headers):
    if path.startswith("/api/auth/session"):
        return {"status": "authenticated", "session": {"userId": str(uuid.uuid5(uuid.NAMESPACE_URL, headers.get("cookie", "")))}}
    if path.startswith("/rest/rate-limits"):
        return {"remainingQueries": 100000, "totalQueries": 100000, "windowSizeSeconds": 7200}
    if path.startswith("/rest/subscriptions"):
        return {"subscriptions": []}
    return {}


def command_of(message):
    if COMMAND not in message:
        return {}
    return json.JSONDecoder().raw_decode(message[message.rindex(COMMAND) + len(COMMAND):])[0]


def main(port):
    with Upstream(("127.0.0.1", port), Connection) as server:
        # All that were started here end together.
        signal.signal(signal.SIGTERM, lambda *_: os.killpg(0, signal.SIGKILL))
        server.serve_forever()


if __name__ == "__main__":
    main(int(sys.argv[1]))
