// A gateway with an empty data directory and a simulated upstream of its own.
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { wordsOf } from "./words.mjs";

const root = new URL("../..", import.meta.url).pathname;
const binaries = process.env.E2E_BIN ?? join(root, "target/debug");
const log = process.env.E2E_LOG ? "inherit" : "ignore";

function freePort() {
	return new Promise((resolve) => {
		const server = createServer();
		server.listen(0, "127.0.0.1", () => {
			const { port } = server.address();
			server.close(() => resolve(port));
		});
	});
}

/** A fingerprint of every table but that of the sessions, which says when they were last used. */
const FINGERPRINT = `
import hashlib, json, sqlite3, sys
db = sqlite3.connect(f"file:{sys.argv[1]}?mode=ro", uri=True)
tables = [name for name, in db.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")]
rows = lambda table: sorted(map(repr, db.execute(f'SELECT * FROM "{table}"')))
print(json.dumps({table: hashlib.sha256("".join(rows(table)).encode()).hexdigest() for table in sorted(tables) if "session" not in table}))
`;

/** Asks until it answers, at most ten seconds. */
async function answered(what, ask) {
	for (let tries = 0; tries < 200; tries++) {
		const response = await ask().catch(() => undefined);
		if (response?.ok) return response;
		await new Promise((resolve) => setTimeout(resolve, 50));
	}
	throw new Error(`${what} does not answer`);
}

export async function makeWorld({ language = "zh-CN", theme = "light", accounts = 3, shots, check } = {}) {
	const directory = mkdtempSync(join(tmpdir(), "grok2api-e2e-"));
	const [upstreamPort, port] = [await freePort(), await freePort()];
	const base = `http://127.0.0.1:${port}`;
	const upstream = `http://127.0.0.1:${upstreamPort}`;
	const simulator = spawn(join(binaries, "grok2api-simulator"), ["--listen", `127.0.0.1:${upstreamPort}`, "--accounts", "0"], {
		stdio: log,
	});
	let gateway;
	let printed = "";

	const start = async () => {
		const options = ["--listen", `127.0.0.1:${port}`, "--data-dir", join(directory, "data")];
		gateway = spawn(join(binaries, "grok2api"), ["serve", ...options, "--upstream-url", upstream, "--assets-url", upstream], {
			stdio: ["ignore", "pipe", log],
		});
		gateway.stdout.on("data", (text) => {
			printed += text;
		});
		await answered("the gateway", () => fetch(`${base}/healthz`));
	};
	const stop = async (signal) => {
		const ended = new Promise((resolve) => gateway.once("exit", resolve));
		gateway.kill(signal);
		await ended;
	};
	/** `POST` to the simulator's own routes. */
	const simulate = (path, body) =>
		answered(`the simulated upstream's ${path}`, () =>
			fetch(`${upstream}/__simulator${path}`, { method: "POST", body: JSON.stringify(body) }),
		);

	const world = {
		base,
		check,
		language,
		theme,
		t: wordsOf(language),
		shots,
		upstream,
		database: join(directory, "data/grok2api.db"),
		simulate,
		start,
		stop,
		tokens: Array.from({ length: accounts }, (_, index) => `e2e-account-${index}`),
		rows: () => {
			const read = spawnSync("python3", ["-c", FINGERPRINT, world.database], { encoding: "utf8" });
			if (read.status !== 0) throw new Error(read.stderr);
			return JSON.parse(read.stdout);
		},
		log: () => printed + readFileSync(join(directory, "data/logs/grok2api.log"), "utf8"),
		claimCode: () => /claim#(\S+)/.exec(printed)?.[1],
		restart: async () => {
			await stop("SIGKILL");
			await start();
		},
		shot: async (page, name) => {
			if (shots) await page.screenshot({ path: join(shots, `${name}.png`) });
		},
		/** A browser profile of its own with the world's language and theme. */
		context: async (browser, options = {}) => {
			const context = await browser.newContext({
				viewport: { width: 1440, height: 900 },
				locale: language,
				colorScheme: theme,
				permissions: ["clipboard-read", "clipboard-write"],
				...(world.state ? { storageState: world.state } : {}),
				...options,
			});
			await context.addInitScript((taste) => localStorage.setItem("grok2api.taste", JSON.stringify(taste)), { language, theme });
			return context;
		},
		chat: (content, more = {}) =>
			fetch(`${base}/v1/chat/completions`, {
				method: "POST",
				headers: { Authorization: `Bearer ${world.key}`, "Content-Type": "application/json", ...more.headers },
				body: JSON.stringify({ model: "grok-4.2", messages: [{ role: "user", content }], ...more.body }),
			}),
		end: () => {
			gateway?.kill();
			simulator.kill();
			rmSync(directory, { recursive: true, force: true });
		},
	};
	const left = (remaining, total) => ({ remaining, total });
	const quota = { auto: left(74, 80), fast: left(118, 140), expert: left(9, 30), heavy: left(2, 4) };
	for (const sso of world.tokens) await simulate("/accounts", { sso, quota });
	await start();
	return world;
}
