"""Texts that were made to be read slowly: as an answer in a history, in the look-up of conversations, and from the upstream."""
import asyncio, json, time

from . import wire
from .measure import MB, Gateway, Measured
from processes import cpu

# What is repeated, and what stands once in front of it.
UNITS = {
    "images": ("![a](b)", ""),
    "numbered links": ("[[1]](http://a)", ""),
    "reasoning blocks": ("<think>a</think>", ""),
    "reasoning that ends in another tag": ("<think>a</thinking>", ""),
    "reasoning never closed": ("<details type=\"reasoning\">", ""),
    "images never closed": ("![](", ""),
    "images beside /images/": ("![", "/images/"),
    "numbered links never closed": ("[[1]](", ""),
    "brackets": ("[", "](![a](b)"),
    "quotations": ("> a\n\n", ""),
    "addresses": ("http://a?", ""),
}
# Units that only the reading of an upstream's answer knows.
MARKUP = {"references never closed": ("<grok:render a=\"", ""), "tool calls never closed": ("<xai:tool_usage_card>", "Look: "),
          "documents": ("<xaiArtifact></xaiArtifact>", "")}

KB = 1024
# So long, and so often. What is told is processor time for each megabyte, so short ones are repeated until there is something to measure.
LENGTHS = ((64 * KB, 4), (256 * KB, 2), (MB, 8), (8 * MB, 1))
# An answer ends at max_answer_mb, which is 8 together with its reasoning.
ANSWER_LENGTHS = ((64 * KB, 4), (256 * KB, 2), (MB, 4), (4 * MB, 1))
# Twice the length may cost twice as much, and half as much again for the noise: eight times the length not more than twelve times.
STEEPEST = 1.5
# What costs so little is not slow, however its cost grows: what fits into the processor's cache is read faster.
CHEAP_MS_PER_MB = 20
# Whatever costs more is not worth being followed to greater lengths; reading takes some ten milliseconds.
MOST_MS_PER_MB = 2000
PATIENCE = 10
# For one way in, so that the whole ends also where every text is slow. What is not reached counts as not met.
LONGEST = 75
# Two workers are all that two cores have: what is read on them is felt by everybody.
TOGETHER, TOGETHER_PATIENCE = 2, 20


def text(unit, first, length):
    return first + unit * ((length - len(first)) // len(unit))


def asked(content):
    return [{"role": "user", "content": "hello"}, {"role": "assistant", "content": content}, {"role": "user", "content": "and now?"}]


def in_chat(gateway, unit, first, length):
    return wire.chat(asked(text(unit, first, length)))


def in_match(gateway, unit, first, length):
    return wire.post("/admin/api/v1/conversations/match", {"key_id": "console", "messages": asked(text(unit, first, length))},
                     gateway.admin.lines())


def as_answer(gateway, unit, first, length):
    command = {"kind": "pattern", "unit": unit, "first": first, "bytes": length}
    return wire.chat([{"role": "user", "content": f"#!{json.dumps(command)}"}], stream=True)


def run(bench, table):
    ways = (("history of a chat", in_chat, UNITS, LENGTHS, "simulated"), ("conversations/match", in_match, UNITS, LENGTHS, "simulated"),
            ("answer of the upstream", as_answer, {**UNITS, **MARKUP}, ANSWER_LENGTHS, "taken over"))
    for way, request, units, lengths, upstream in ways:
        gateway, began = Gateway(bench, upstream=upstream), time.perf_counter()
        for name, (unit, first) in units.items():
            attack = f"{way}: {name}"
            if time.perf_counter() - began > LONGEST:
                table.row(attack, None, "not reached, the time was used up", "–", False)
                continue
            with Measured(gateway, settle=0.1) as measured:
                costs, end = asyncio.run(costs_by_length(gateway, lambda length: request(gateway, unit, first, length), lengths))
            table.row(attack, measured, *judged(costs, end, lengths))
            if end:
                gateway.restart()
        gateway.end()
        together(bench, table, f"{way}: {TOGETHER} of 1 MB at once", request, upstream)


def together(bench, table, attack, request, upstream):
    gateway = Gateway(bench, upstream=upstream)
    sent = request(gateway, *UNITS["images never closed"], MB)
    with Measured(gateway) as measured:
        answers = asyncio.run(at_once(gateway.port, sent))
    whole = sum(answer.is_whole and answer.status == 200 for answer in answers)
    table.row(attack, measured, f"{whole} of {TOGETHER} answered", f"answered within {TOGETHER_PATIENCE} s", whole == TOGETHER)
    gateway.end()


async def at_once(port, sent):
    return await asyncio.gather(*(wire.exchange(port, sent, TOGETHER_PATIENCE) for _ in range(TOGETHER)))


async def costs_by_length(gateway, request, lengths):
    """Milliseconds of processor time for a megabyte at each length, and why it went no further, if so."""
    costs = {}
    for length, times in lengths:
        before, sent = cpu([gateway.pid]), request(length)
        for _ in range(times):
            answer = await wire.exchange(gateway.port, sent, PATIENCE)
            if not answer.is_whole:
                return costs, f"{shown(length)}: no answer within {PATIENCE} s"
            if answer.status != 200:
                return costs, f"{shown(length)}: status {answer.status}"
        costs[length] = (cpu([gateway.pid]) - before) / (times * length / MB) * 1e3
        if costs[length] > MOST_MS_PER_MB:
            return costs, "not followed further"
    return costs, None


def judged(costs, end, lengths):
    long, short = lengths[-1][0], lengths[-2][0]
    found = "ms CPU per MB: " + ", ".join(f"{shown(length)} {cost:.0f}" for length, cost in costs.items())
    limit = f"{shown(long)} ≤ {STEEPEST * long / short:.0f} × {shown(short)}"
    if end:
        return f"{found}; {end}", limit, False
    ratio = costs[long] / costs[short] * long / short
    return f"{found}; {ratio:.1f} ×", limit, ratio <= STEEPEST * long / short or costs[long] <= CHEAP_MS_PER_MB


def shown(length):
    return f"{length // MB} MB" if length >= MB else f"{length // KB} KB"
