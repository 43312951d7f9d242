"""Answers of the upstream that do not end, or become huge when they are unpacked."""
import asyncio, json

from . import wire
from .measure import MB, Gateway, Measured

# What the upstream sends of one answer. It is enough to see that nobody stops it, and this machine survives it.
SENT_MB = 300
# max_answer_mb unless it is set.
MAX_ANSWER_MB = 8
# The text, what is written of it, what has been read of the next piece, and what the allocator keeps of each.
MOST_PER_ANSWER_MB = 8 * MAX_ANSWER_MB
PATIENCE = 15
TOGETHER, TOGETHER_SENT_MB = 16, 48
# max_answers_mb, which is 256 unless it is set, and as much for what is copied and what the allocator keeps.
MOST_TOGETHER_MB = 2 * 256
# What a client may be given of each: a long answer, and the form it is written in.
MOST_GIVEN_MB = 2 * MAX_ANSWER_MB

ATTACKS = (
    ("packed text, streamed", {"kind": "text", "gzip": True}, True),
    ("packed text, whole", {"kind": "text", "gzip": True}, False),
    ("packed reasoning, streamed", {"kind": "thinking", "gzip": True}, True),
    ("packed line without an end, streamed", {"kind": "line", "gzip": True}, True),
    ("packed refusal, whole", {"kind": "error", "gzip": True}, False),
    ("text, streamed", {"kind": "text"}, True),
    ("text, whole", {"kind": "text"}, False),
    ("line without an end, whole", {"kind": "line"}, False),
)


def request(command, stream, megabytes):
    return wire.chat([{"role": "user", "content": f"#!{json.dumps({**command, 'mb': megabytes})}"}], stream=stream)


async def all_at_once(port, sent, count):
    return await asyncio.gather(*(wire.exchange(port, sent, PATIENCE) for _ in range(count)))


def run(bench, table):
    for name, command, stream in ATTACKS:
        attack(bench, table, f"{name}, {SENT_MB} MB", request(command, stream, SENT_MB), 1, MOST_PER_ANSWER_MB)
    packed_quota(bench, table)
    for name, command, stream in (("answers", {"kind": "text"}, True), ("whole answers", {"kind": "text"}, False),
                                  ("lines without an end", {"kind": "line"}, True)):
        sent = request(command, stream, TOGETHER_SENT_MB)
        attack(bench, table, f"{TOGETHER} {name} at once, {TOGETHER_SENT_MB} MB each", sent, TOGETHER, MOST_TOGETHER_MB)


def attack(bench, table, name, sent, count, most_mb):
    gateway = Gateway(bench)
    with Measured(gateway) as measured:
        answers = asyncio.run(all_at_once(gateway.port, sent, count))
    ended, given = sum(answer.is_whole for answer in answers), max(answer.size for answer in answers) / MB
    found = f"+{measured.growth / MB:.0f} MB; {ended} of {count} ended, status {answers[0].status}, {code(answers[0])}, {given:.1f} MB given"
    limit = f"≤ +{most_mb} MB, ended within {PATIENCE} s, ≤ {MOST_GIVEN_MB} MB given"
    table.row(name, measured, found, limit, measured.growth <= most_mb * MB and ended == count and given <= MOST_GIVEN_MB)
    gateway.end()


def packed_quota(bench, table):
    """What the upstream tells of an account, packed."""
    gateway = Gateway(bench)
    with Measured(gateway) as measured:
        # Adding an account asks about it, and so does this.
        account = gateway.admin.ask("/accounts", {"token": "huge"})
        path = f"/admin/api/v1/accounts/{account['id']}/actions/check_quota"
        answer = asyncio.run(wire.exchange(gateway.port, wire.post(path, {}, gateway.admin.lines()), PATIENCE))
    found = f"+{measured.growth / MB:.0f} MB; status {answer.status} after {answer.seconds:.1f} s"
    limit = f"≤ +{MOST_PER_ANSWER_MB} MB, ended within {PATIENCE} s"
    table.row(f"packed quota, {SENT_MB} MB", measured, found, limit, measured.growth <= MOST_PER_ANSWER_MB * MB and answer.is_whole)
    gateway.end()


def code(answer):
    """The code of the error that an answer ends with."""
    return next((part.split(b'"')[0].decode() for part in answer.tail.split(b'"code":"')[1:]), "no error")
