"""The processes that every part of the bench needs, and what the system says of them."""
import json, os, shutil, socket, subprocess, sys, tempfile, time, urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PAGE = os.sysconf("SC_PAGE_SIZE")
BUILT = os.path.join(os.environ.get("CARGO_TARGET_DIR", os.path.join(ROOT, "target")), "release")
# Binaries that are measured as they are, without building any.
BIN = os.environ.get("BENCH_BIN") or BUILT
SETTINGS = {"max_conversations_per_token": 100000, "stream_idle_timeout": 3600, "stream_timeout": 3600,
            "keep_alive_interval": 300, "log_level": "error", "max_log_entries": 10000000}
PASSWORD, KEY = "benchbench", "sk-bench"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_port(port, process, seconds=60):
    end = time.time() + seconds
    while time.time() < end:
        if process.poll() is not None:
            sys.exit(f"a process ended early: {process.args}")
        try:
            socket.create_connection(("127.0.0.1", port), 0.2).close()
            return
        except OSError:
            time.sleep(0.005)
    sys.exit(f"nothing listens on {port}")


def cpu(pids):
    """Seconds of processor time of these processes, by the kernel's clock of each: a tick of /proc is a hundredth of a second."""
    return sum(time.clock_gettime((~pid << 3) | 2) for pid in pids)


def resident(pid):
    return int(open(f"/proc/{pid}/statm").read().split()[1]) * PAGE


class Bench:
    def __init__(self):
        self.directory = tempfile.mkdtemp(prefix="grok2api-bench-")
        self.processes = []

    def start(self, *command, env=None, **options):
        process = subprocess.Popen(command, env={**os.environ, **(env or {})}, **{"stdout": subprocess.DEVNULL, **options})
        self.processes.append(process)
        return process

    def stop(self, process):
        process.terminate()
        process.wait(30)
        self.processes.remove(process)

    def kill(self, process):
        process.kill()
        process.wait()
        self.processes.remove(process)

    def close(self):
        for process in self.processes:
            process.kill()
        for process in self.processes:
            process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)

    def simulator(self, *options, accounts=16):
        port = free_port()
        process = self.start(f"{BIN}/grok2api-simulator", "--listen", f"127.0.0.1:{port}", "--accounts", str(accounts),
                             "--stateless", *options)
        wait_port(port, process)
        return process, port

    def nginx(self, upstream):
        port = free_port()
        home = os.path.join(self.directory, f"nginx-{port}")
        os.makedirs(home)
        config = os.path.join(home, "nginx.conf")
        with open(config, "w") as f:
            f.write(f"""
daemon off; pid {home}/pid; error_log {home}/error.log; worker_processes 2; worker_rlimit_nofile 65536;
events {{ worker_connections 32768; }}
http {{
  access_log off; client_body_temp_path {home}/b; proxy_temp_path {home}/p; fastcgi_temp_path {home}/f;
  uwsgi_temp_path {home}/u; scgi_temp_path {home}/s; tcp_nodelay on;
  upstream up {{ server 127.0.0.1:{upstream}; keepalive 256; }}
  server {{ listen 127.0.0.1:{port} backlog=4096;
    location / {{ proxy_pass http://up; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off; proxy_read_timeout 3600s; }} }}
}}""")
        process = self.start("nginx", "-p", home, "-c", config)
        wait_port(port, process)
        time.sleep(0.3)
        children = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True).stdout.split()
        return process, port, [process.pid, *map(int, children)]

    def gateway(self, upstream, data=None, settings=None, env=None, scheme="http", binaries=BIN, **options):
        port = free_port()
        data = data or os.path.join(self.directory, f"data-{port}")
        os.makedirs(data, mode=0o700, exist_ok=True)
        with open(os.path.join(data, "config.json"), "w") as f:
            json.dump({**SETTINGS, **(settings or {})}, f)
        began = time.perf_counter()
        process = self.start(f"{binaries}/grok2api", "--listen", f"127.0.0.1:{port}", "--data-dir", data, "--upstream-url",
                             f"{scheme}://127.0.0.1:{upstream}",
                             env={"GROK2API_ADMIN_PASSWORD": PASSWORD, "GROK2API_API_KEY": KEY, **(env or {})}, **options)
        wait_port(port, process)
        return process, port, data, began

    def load(self, port, form, requests, connections, accounts=16):
        tool = next((path for path in (f"{BIN}/grok2api-load", f"{BUILT}/grok2api-load") if os.path.exists(path)), None)
        done = subprocess.run([tool, "load", "--address", f"127.0.0.1:{port}", "--form", form, "--requests",
                               str(requests), "--connections", str(connections), "--accounts", str(accounts)],
                              capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"load failed ({form}, port {port}): {done.stderr}")
        return json.loads(done.stdout)


class Admin:
    """Somebody who is signed in at the admin API."""

    def __init__(self, port):
        self.base = f"http://127.0.0.1:{port}/admin/api/v1"
        request = urllib.request.Request(self.base + "/session", json.dumps({"username": "admin", "password": PASSWORD}).encode(),
                                         {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as response:
            self.headers = {"Cookie": response.headers["Set-Cookie"].split(";")[0], "X-Requested-With": "console"}

    def lines(self):
        return [f"{name}: {value}" for name, value in self.headers.items()]

    def ask(self, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, data, {**self.headers, "Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as response:
            return json.loads(response.read() or b"null")

    def add_accounts(self, count=16):
        for i in range(count):
            self.ask("/accounts", {"token": f"sim-{i}"})
