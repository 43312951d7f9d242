// The console in a real browser, against a gateway and a simulated upstream of its own: the way that a user takes, axe on every page in
// both themes and languages, budgets, and no secret anywhere. `E2E_BIN` names the gateway; `--shots DIRECTORY` keeps pictures of all pages.
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";
import { access } from "./axe.mjs";
import { walk } from "./walk.mjs";

const root = new URL("../..", import.meta.url).pathname;
const shots = process.argv.includes("--shots") ? process.argv[process.argv.indexOf("--shots") + 1] : undefined;
const binary = process.env.E2E_BIN ?? join(root, "target/debug");
const browserPath = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find((path) =>
	statSync(path, { throwIfNoEntry: false }),
);
if (!browserPath) fail("no Chromium: apt install chromium");

function fail(message) {
	console.error(message);
	process.exit(1);
}

function freePort() {
	return new Promise((resolve) => {
		const server = createServer();
		server.listen(0, "127.0.0.1", () => {
			const { port } = server.address();
			server.close(() => resolve(port));
		});
	});
}

const results = [];

/** One line of the report; the rest of the walk goes on after a failure. */
async function check(name, body) {
	const began = performance.now();
	try {
		await body();
		results.push({ name, ok: true, ms: performance.now() - began });
		console.log(`ok    ${name} (${Math.round(performance.now() - began)} ms)`);
	} catch (error) {
		results.push({ name, ok: false });
		console.log(
			`FAIL  ${name}\n      ${String(error?.stack ?? error)
				.split("\n")
				.slice(0, 12)
				.join("\n      ")}`,
		);
	}
}

const directory = mkdtempSync(join(tmpdir(), "grok2api-e2e-"));
const [upstreamPort, port] = [await freePort(), await freePort()];
const base = `http://127.0.0.1:${port}`;
const tokens = Array.from({ length: 3 }, (_, index) => `e2e-account-${index}`);
const log = process.env.E2E_LOG ? "inherit" : "ignore";
const simulator = spawn(join(binary, "grok2api-simulator"), ["--listen", `127.0.0.1:${upstreamPort}`, "--accounts", "0"], {
	stdio: log,
});
let printed = "";
let gateway;

/** Starts the gateway, again on the same data after a kill. */
async function start() {
	gateway = spawn(
		join(binary, "grok2api"),
		[
			"serve",
			"--listen",
			`127.0.0.1:${port}`,
			"--data-dir",
			join(directory, "data"),
			"--upstream-url",
			`http://127.0.0.1:${upstreamPort}`,
			"--assets-url",
			`http://127.0.0.1:${upstreamPort}`,
		],
		{
			stdio: ["ignore", "pipe", log],
		},
	);
	gateway.stdout.on("data", (text) => {
		printed += text;
	});
	for (let tries = 0; tries < 200; tries++) {
		if (
			await fetch(`${base}/healthz`)
				.then((response) => response.ok)
				.catch(() => false)
		)
			return;
		await new Promise((resolve) => setTimeout(resolve, 50));
	}
	fail(`the gateway does not start:\n${printed}`);
}

const world = {
	base,
	tokens,
	check,
	claimCode: () => /claim#(\S+)/.exec(printed)?.[1],
	restart: async () => {
		gateway.kill("SIGKILL");
		await new Promise((resolve) => gateway.once("exit", resolve));
		await start();
	},
	shot: async (page, name) => {
		if (shots) await page.screenshot({ path: join(shots, `${name}.png`) });
	},
	shots,
};

let browser;
try {
	if (shots) mkdirSync(shots, { recursive: true });
	for (const sso of tokens) {
		let known = false;
		for (let tries = 0; tries < 100 && !known; tries++) {
			const body = JSON.stringify({ sso });
			const made = fetch(`http://127.0.0.1:${upstreamPort}/__simulator/accounts`, { method: "POST", body });
			known = await made.then((response) => response.ok).catch(() => false);
			if (!known) await new Promise((resolve) => setTimeout(resolve, 50));
		}
		if (!known) fail("the simulated upstream does not start");
	}
	await start();
	browser = await chromium.launch({ executablePath: browserPath, args: ["--no-sandbox"] });
	await check("budgets of scripts and styles", () => budgets(join(root, "web/dist/assets")));
	await walk(browser, world);
	await access(browser, world);
} finally {
	await browser?.close();
	gateway?.kill();
	simulator.kill();
	rmSync(directory, { recursive: true, force: true });
}
const failed = results.filter((result) => !result.ok);
console.log(`\n${results.length} checks, ${failed.length} failed`);
process.exit(failed.length ? 1 : 0);

/** First page 150 KB of script and 16 KB of style, the sign-in page 20 KB, further pages 35 KB, charts 30 KB; as they are sent. */
function budgets(assets) {
	const size = Object.fromEntries(
		readdirSync(assets)
			.filter((name) => name.endsWith(".gz"))
			.map((name) => [name, statSync(join(assets, name)).size]),
	);
	const of = (pattern) =>
		Object.entries(size)
			.filter(([name]) => pattern.test(name))
			.reduce((sum, [, bytes]) => sum + bytes, 0);
	const shared =
		/^(index|main|parts|Time|Pill|query|useMutation|useInfiniteQuery|words|state|AccountPanel|AddAccounts|RequestTable|stream|zh-CN|Overview)-.*\.js\.gz$/;
	const limits = [
		["the first page's scripts", of(shared), 150_000],
		["styles", of(/\.css\.gz$/), 16_000],
		["the sign-in page's scripts", of(/^index-.*\.js\.gz$/) + Math.max(of(/^zh-CN-/), of(/^en-/)), 20_000],
		...Object.entries(size)
			.filter(([name]) => /\.js\.gz$/.test(name) && !/^(main|Chart)-/.test(name))
			.map(([name, bytes]) => [name, bytes, 35_000]),
		["charts", of(/^Chart-.*\.js\.gz$/), 30_000],
	];
	const over = limits.filter(([, bytes, limit]) => bytes > limit);
	if (over.length) throw new Error(over.map(([name, bytes, limit]) => `${name}: ${bytes} of ${limit} bytes`).join("; "));
}
