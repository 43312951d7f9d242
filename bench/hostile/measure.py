"""What an attack costs: memory and processor time of the gateway, and what honest clients felt meanwhile."""
import json, os, subprocess, sys, time

from processes import Admin, cpu, free_port, resident, wait_port

HERE = os.path.dirname(os.path.abspath(__file__))
MB = 2**20

# What an honest client may feel while somebody attacks: on two cores that the attacker's own program shares.
SLOWEST_MS = 1000
# Of all calls.
FEWEST_GOOD = 0.99

# Set as a person finds it, not as the speed is measured; only the patience with slow clients is shorter, or this would wait for
# minutes. A gateway that does not know that setting keeps it and goes on.
CLIENT_TIMEOUT = 20
SETTINGS = {"stream_timeout": 600, "stream_idle_timeout": 90, "keep_alive_interval": 15, "max_log_entries": 10_000,
            "upstream_transport": "rest", "client_timeout": CLIENT_TIMEOUT}


class Gateway:
    """A gateway to attack, with an upstream of its own that knows sixteen accounts."""

    def __init__(self, bench, settings=None, upstream="taken over"):
        self.bench = bench
        if upstream == "taken over":
            self.upstream_port = free_port()
            self.upstream = bench.start(sys.executable, f"{HERE}/upstream.py", str(self.upstream_port), start_new_session=True)
            wait_port(self.upstream_port, self.upstream)
        else:
            self.upstream, self.upstream_port = bench.simulator("--reply", "tokens", "--tokens", "10", "--interval-ms", "0")
        self.settings = {**SETTINGS, **(settings or {})}
        self.start()

    def start(self):
        # Under attack it complains of every answer that it gives up.
        self.process, self.port, _, _ = self.bench.gateway(self.upstream_port, settings=self.settings, stderr=subprocess.DEVNULL)
        self.pid = self.process.pid
        self.admin = Admin(self.port)
        self.admin.add_accounts()

    def restart(self):
        """Another one in its place: this one may be busy for hours."""
        self.bench.kill(self.process)
        self.start()

    def end(self):
        self.bench.kill(self.process)
        self.bench.stop(self.upstream)


class Measured:
    """Memory, processor time and honest clients of a stretch of time."""

    def __init__(self, gateway, settle=1.0):
        self.gateway, self.settle = gateway, settle

    def __enter__(self):
        pid = self.gateway.pid
        self.honest = self.gateway.bench.start(sys.executable, f"{HERE}/honest.py", str(self.gateway.port), stdin=subprocess.PIPE,
                                               stdout=subprocess.PIPE, text=True)
        if self.honest.stdout.readline() != "ready\n":
            raise RuntimeError("the gateway serves no honest client")
        # The peak counts from here.
        with open(f"/proc/{pid}/clear_refs", "w") as f:
            f.write("5")
        self.before, self.began, self.cpu_before = resident(pid), time.perf_counter(), cpu([pid])
        return self

    def __exit__(self, kind, *_):
        pid = self.gateway.pid
        self.seconds, self.cpu = time.perf_counter() - self.began, cpu([pid]) - self.cpu_before
        out, _ = self.honest.communicate()
        self.gateway.bench.processes.remove(self.honest)
        if kind is None:
            self.felt = json.loads(out)
            time.sleep(self.settle)
            self.peak, self.after = max(peak(pid), self.before), resident(pid)

    @property
    def growth(self):
        return self.peak - self.before

    @property
    def is_honest_served(self):
        calls = sum(felt["calls"] for felt in self.felt.values())
        good = sum(felt["good"] for felt in self.felt.values())
        return good >= FEWEST_GOOD * calls and all(felt["p99"] <= SLOWEST_MS for felt in self.felt.values())

    def memory(self):
        return f"{self.before / MB:.0f} → {self.peak / MB:.0f} → {self.after / MB:.0f} MB"

    def time(self):
        return f"{self.seconds:.1f} s, CPU {self.cpu:.1f} s"

    def honest_clients(self):
        calls = sum(felt["calls"] for felt in self.felt.values())
        good = sum(felt["good"] for felt in self.felt.values())
        each = (f"{name} {felt['p50']:.0f} / {felt['p99']:.0f} ms" for name, felt in self.felt.items())
        return f"{', '.join(each)}, {good} of {calls}"


def peak(pid):
    with open(f"/proc/{pid}/status") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmHWM:")) * 1024


class Table:
    """Rows as they are found, so that whoever waits sees them."""

    def __init__(self):
        self.is_met = True
        print("| attack | memory before → peak → after | time | what came of it | honest clients, p50 / p99 | limit | met |\n"
              "|---|---|---|---|---|---|---|", flush=True)

    def row(self, attack, measured, found, limit, is_met):
        """`is_met` is about the attack; that honest clients are served is a limit of every row."""
        is_met = is_met and (measured is None or measured.is_honest_served)
        self.is_met &= is_met
        cells = ("–", "–", "–") if measured is None else (measured.memory(), measured.time(), measured.honest_clients())
        print(f"| {attack} | {cells[0]} | {cells[1]} | {found} | {cells[2]} | {limit} | {'yes' if is_met else 'NO'} |", flush=True)
