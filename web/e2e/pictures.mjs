// The pictures of the README, `docs/images/*.png`: a gateway with some accounts, a month of made-up requests and a few real ones.
import { spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { chromium } from "playwright-core";
import { makeWorld } from "./world.mjs";

const root = new URL("../..", import.meta.url).pathname;
const out = join(root, "docs/images");
mkdirSync(out, { recursive: true });
const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox"] });
const world = await makeWorld({ accounts: 48 });
const { base, t, tokens } = world;

async function page(taste, options = {}) {
	Object.assign(world, taste);
	const context = await browser.newContext({
		viewport: { width: 1440, height: 900 },
		locale: taste.language,
		colorScheme: taste.theme,
		storageState: world.state,
		...options,
	});
	await context.addInitScript((taste) => localStorage.setItem("grok2api.taste", JSON.stringify(taste)), taste);
	return context.newPage();
}

async function picture(name, taste, path, prepare, options) {
	const tab = await page(taste, options);
	await tab.goto(`${base}/admin${path}`);
	await tab.getByRole("heading", { level: 1 }).first().waitFor();
	await prepare?.(tab);
	await tab.waitForTimeout(1_200);
	await tab.screenshot({ path: join(out, `${name}.png`) });
	await tab.context().close();
	console.log(`docs/images/${name}.png`);
}

try {
	// Claimed as a person does it.
	const context = await browser.newContext({ locale: "zh-CN" });
	const first = await context.newPage();
	await first.goto(`${base}/admin/claim#${world.claimCode()}`);
	await first.getByLabel(t("door.password"), { exact: true }).fill("correct horse battery");
	await first.getByRole("button", { name: t("door.claim"), exact: true }).click();
	await first.getByRole("heading", { name: t("overview.start"), exact: true }).waitFor();
	world.state = await context.storageState();
	const api = async (method, path, data) => {
		const response = await context.request.fetch(`${base}/admin/api/v1${path}`, {
			method,
			data,
			headers: { "X-Requested-With": "console", "If-Match": "*" },
		});
		if (!response.ok()) throw new Error(`${method} ${path}: ${response.status()} ${await response.text()}`);
		return response.json();
	};

	const plans = ["SUPER_GROK_PRO", "GROK_PRO", "GROK_PRO", "GROK_PRO", null, null];
	for (const [index, sso] of tokens.entries()) {
		const left = (total, share) => ({ remaining: Math.round(total * share), total });
		const plan = plans[index % plans.length];
		const quota = {
			auto: left(80, ((index * 37) % 100) / 100),
			fast: left(140, 1 - ((index * 13) % 70) / 100),
			expert: { ...left(30, index % 9 === 4 ? 0 : ((index * 29) % 100) / 100), wait_seconds: 4_300 },
			heavy: left(plan === "SUPER_GROK_PRO" ? 8 : 4, 0.5),
		};
		await world.simulate("/accounts", { sso, quota, subscriptions: plan ? [plan] : [] });
	}
	await world.simulate("/accounts", { sso: tokens[11], credential: "unknown" });
	const table = [
		"token,label,tags",
		...tokens.map(
			(sso, index) => `${sso},batch-${1 + (index % 3)}-${String(index + 1).padStart(3, "0")},batch-${1 + (index % 3)}`,
		),
	];
	const preview = await api("POST", "/imports/preview", { text: table.join("\n") });
	const job = await api("POST", "/jobs", { kind: "accounts.import", preview_id: preview.preview_id });
	const imported = await api("GET", `/jobs/${job.id}?wait=60`);
	await api("GET", `/jobs/${imported.result.check_job}?wait=60`);
	const key = (await api("POST", "/keys", { name: "nextchat" })).keys[0].key;
	for (const name of ["lobe-chat", "cherry-studio", "team-bot", "cline"]) await api("POST", "/keys", { name });
	await world.stop("SIGTERM");
	const filled = spawnSync("python3", [join(root, "bench/admin"), "--history", world.database, "--rows", "150000"], {
		encoding: "utf8",
	});
	if (filled.status !== 0) throw new Error(filled.stderr);
	await world.start();

	// And what happens now.
	world.key = key;
	const listed = (await api("GET", "/accounts?limit=100")).items;
	for (const account of listed.filter((_, index) => index % 17 === 8))
		await api("PATCH", `/accounts/${account.id}`, { enabled: false });
	for (const sso of [tokens[3], tokens[20], tokens[33]]) await world.simulate(`/accounts/${sso}/reply`, { name: "rate-limited" });
	for (const sso of tokens) await world.simulate(`/accounts/${sso}/reply`, { tokens: 60, interval_ms: 12, thinking: 12 });
	const asked = Array.from({ length: 60 }, (_, index) =>
		world.chat(`question ${index}`, { headers: { "X-Request-ID": `req-4f6a${index}` } }),
	);
	const statuses = (await Promise.all(asked)).map((response) => response.status);
	console.log(`${statuses.filter((status) => status === 200).length} of ${statuses.length} answered`);
	const resting = (await api("GET", "/accounts?state=cooling")).items[0];

	const zh = { language: "zh-CN", theme: "light" };
	const zhDark = { language: "zh-CN", theme: "dark" };
	const en = { language: "en", theme: "light" };
	const enDark = { language: "en", theme: "dark" };
	await picture("overview", en, "/?range=24h");
	await picture("accounts", zh, "/accounts?sort=label");
	await picture("account", enDark, `/accounts/${resting.id}`);
	await picture("requests", zhDark, `/requests?open=${resting.state.caused_by}`);
	await picture("statistics", en, "/stats?range=7d");
	await picture("playground", zh, "/playground", async (tab) => {
		for (const sso of tokens) await fetch(`${world.upstream}/__simulator/accounts/${sso}/reply`, { method: "DELETE" });
		const text =
			"**Grok2API** 是一个网关，把你自己的 Grok 网页账号变成兼容 OpenAI 的 API：\n\n1. 会话留在上游，每次只发送新消息\n2. 账号休息多久、为什么，都说得清\n3. 失败时告诉你是谁的责任";
		for (const sso of tokens) await world.simulate(`/accounts/${sso}/reply`, { text, sticky: true });
		const { wordsOf } = await import("./words.mjs");
		const words = wordsOf("zh-CN");
		await tab.getByLabel(words("playground.message")).fill("用一句话介绍你自己");
		await tab.keyboard.press("Enter");
		await tab.getByRole("button", { name: words("playground.again"), exact: true }).waitFor();
		await tab.getByRole("button", { name: words("playground.again"), exact: true }).click();
		await tab.getByText("2/2").waitFor();
	});
	await picture("connect", enDark, "/connect");
	await picture("phone", zh, "/accounts", undefined, {
		viewport: { width: 390, height: 844 },
		isMobile: true,
		hasTouch: true,
		deviceScaleFactor: 2,
	});
} finally {
	await browser.close();
	world.end();
}
