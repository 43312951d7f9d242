"""Attacks on a gateway, one after the other: what each costs it, what honest clients feel meanwhile, and the limit of both.

Every attack has a gateway of its own on loopback, is over after a time that is set here, and leaves nothing behind.
"""
from . import endless_answers, histories, slow_senders, unread_streams, wrong_keys
from .measure import Table

# Wrong keys come first, because what they did is looked at a minute later.
ATTACKS = {"keys": wrong_keys.run, "histories": histories.run, "senders": slow_senders.run, "answers": endless_answers.run,
           "unread": unread_streams.run}


def run(bench, names):
    """Whether all limits were met."""
    table = Table()
    conclusions = [ATTACKS[name](bench, table) for name in names]
    for conclude in filter(None, conclusions):
        conclude()
    return table.is_met
