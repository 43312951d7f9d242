// The way that a user takes, from an empty gateway on.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";

/** The setting that is changed and changed back, as each language calls it. */
const REQUEST_TIMEOUT = { "zh-CN": "等待回答首个事件的时间", en: "Time to the first event of an answer" };

const PAGES = [
	"/",
	"/accounts",
	"/keys",
	"/requests",
	"/stats",
	"/conversations",
	"/images",
	"/jobs",
	"/settings",
	"/system",
	"/models",
	"/connect",
];

export async function walk(browser, world) {
	const { base, check, t } = world;
	const context = await world.context(browser);
	const page = await context.newPage();
	const foreign = [];
	const problems = [];
	const bodies = [];
	page.on("request", (request) => {
		if (!request.url().startsWith(base) && !request.url().startsWith("data:") && !request.url().startsWith("blob:"))
			foreign.push(request.url());
	});
	page.on("pageerror", (error) => problems.push(error.message));
	page.on(
		"console",
		(message) => /Content Security Policy|TrustedScript|Trusted Type/.test(message.text()) && problems.push(message.text()),
	);
	page.on("response", async (response) => {
		const isText = /json|html|javascript/.test(response.headers()["content-type"] ?? "");
		// The one answer that shows a secret is the one that makes it.
		if (isText && response.request().method() === "GET") bodies.push([response.url(), await response.text().catch(() => "")]);
	});
	/** Waits frame by frame; the policy of the page allows no `eval`, which Playwright's own waiting needs. */
	const seen = (probe) =>
		page.evaluate(
			`new Promise((resolve, reject) => {
				const look = () => ((${probe})() ? resolve() : requestAnimationFrame(look));
				look();
				setTimeout(() => reject(new Error("not seen within ten seconds")), 10_000);
			})`,
		);
	const button = (key, values) => page.getByRole("button", { name: t(key, values), exact: true });
	const heading = (key) => page.getByRole("heading", { name: t(key), exact: true });

	await check("claim, paste three tokens, see their states, chat, copy a curl that works", async () => {
		const began = Date.now();
		let clicks = 0;
		const click = async (target) => {
			clicks += 1;
			await target.click();
		};
		await page.goto(`${base}/admin/claim#${world.claimCode()}`);
		await page.getByLabel(t("door.password"), { exact: true }).fill("correct horse battery");
		await click(button("door.claim"));
		await heading("overview.start").waitFor();
		assert.equal(new URL(page.url()).hash, "", "the code does not stay in the address");
		const paste = page.getByLabel(t("accounts.paste"), { exact: true });
		await click(paste);
		await paste.fill(`${world.tokens.join("\n")}\n${world.tokens[0]}\nnot a token`);
		await page.getByText(t("accounts.preview", { entries: 5, fresh: 3, duplicates: 1, existing: 0, unreadable: 1 })).waitFor();
		await click(button("accounts.import_n", { n: 3 }));
		await page.getByRole("link", { name: `${t("accounts.state_available")} 3` }).waitFor();
		await page.getByLabel(t("playground.message")).fill("hello there");
		await click(button("playground.send"));
		await page.locator("[aria-live] p").filter({ hasText: "hello" }).first().waitFor();
		await click(button("keys.create_default"));
		await page
			.getByText(t("keys.reachable", { n: "" }).split("·")[0].trim())
			.first()
			.waitFor();
		const curl = await page.locator("pre").first().textContent();
		world.key = /Bearer (sk-[^"\s]+)/.exec(curl)?.[1];
		assert.ok(world.key, curl);
		assert.equal((await world.chat("from the snippet")).status, 200);
		assert.ok(clicks <= 12 && Date.now() - began < 180_000, `${clicks} clicks, ${Date.now() - began} ms`);
		await world.shot(page, `first-run-${world.language}`);
	});

	await check("from a request id to its cause in two actions, within a second", async () => {
		const headers = { "X-Request-ID": "req-from-a-user-1" };
		assert.ok((await world.chat("", { headers, body: { model: "no-such-model", messages: [] } })).status >= 400);
		await page.goto(`${base}/admin/`);
		await heading("shell.overview").waitFor();
		// Time to look at the page, as a person has it.
		await page.waitForTimeout(2_000);
		const began = Date.now();
		await page.keyboard.press("Control+k");
		await page.getByRole("combobox", { name: t("shell.jump") }).fill("req-from-a-user-1");
		await seen(() =>
			[...document.querySelectorAll("[role=option]")].some((one) => one.textContent.includes("req-from-a-user-1")),
		);
		await page.keyboard.press("Enter");
		await seen(
			() =>
				document.querySelector("dialog, [role=dialog]")?.textContent.includes("req-from-a-user-1") &&
				location.pathname === "/admin/requests",
		);
		const took = Date.now() - began;
		assert.ok(took <= 1_000, `${took} ms`);
		assert.match(page.url(), /\/admin\/requests\?open=/);
		await page.keyboard.press("Escape");
		await page.getByRole("dialog").waitFor({ state: "detached" });
	});

	await check("a view survives reload and another browser", async () => {
		await page.goto(`${base}/admin/accounts?state=available&sort=-label`);
		await page.getByRole("row").filter({ hasText: "account" }).first().waitFor();
		const rows = async (where) => (await where.getByRole("row").allInnerTexts()).map((row) => row.split("\n")[0]);
		const before = await rows(page);
		await page.reload();
		await page.getByRole("gridcell").first().waitFor();
		assert.deepEqual(await rows(page), before);
		const other = await browser.newContext({ storageState: await context.storageState(), locale: world.language });
		const elsewhere = await other.newPage();
		await elsewhere.goto(page.url());
		await elsewhere.getByRole("gridcell").first().waitFor();
		const pressed = elsewhere.getByRole("button", { name: t("accounts.state_available") }).first();
		assert.equal(await pressed.getAttribute("aria-pressed"), "true");
		assert.deepEqual(await rows(elsewhere), before);
		await other.close();
	});

	await check("a setting is changed, its difference seen, undone from the history", async () => {
		const field = page.getByLabel(REQUEST_TIMEOUT[world.language], { exact: false });
		await page.goto(`${base}/admin/settings`);
		await field.fill("banana");
		await page.getByText(t("settings.not_a_number")).waitFor();
		await field.fill("3m");
		await page.getByText(t("settings.changes", { n: 1 })).waitFor();
		await button("settings.diff").click();
		await page.getByRole("cell", { name: "3m" }).waitFor();
		await page.keyboard.press("Control+s");
		await page.getByText(t("settings.saved", { n: 1 })).waitFor();
		await page.goto(`${base}/admin/settings/history`);
		await button("settings.revert").first().click();
		await page.getByText(t("settings.reverted")).waitFor();
		await field.waitFor();
		assert.equal(await field.inputValue(), "2m");
	});

	await check("a client's own name for a model is answered, and a model is switched off", async () => {
		const asked = () => world.chat("by another name", { body: { model: "gpt-4o" } }).then((answer) => answer.json());
		assert.equal((await asked()).choices?.[0]?.finish_reason, "stop", "unknown names pass through");
		await page.goto(`${base}/admin/models`);
		await page.getByRole("button", { name: `${t("models.make_alias")} gpt-4o`, exact: true }).click();
		const form = page.getByRole("form", { name: t("models.new_alias") });
		assert.equal(await form.getByLabel(t("models.alias_name"), { exact: true }).inputValue(), "gpt-4o");
		await form.getByLabel(t("models.alias_of"), { exact: true }).fill("grok-expert");
		await form.getByRole("button", { name: t("models.add_alias"), exact: true }).click();
		const row = page.getByRole("row").filter({ hasText: "gpt-4o" });
		await row.getByText("expert", { exact: true }).waitFor();
		assert.equal((await asked()).model, "gpt-4o");
		await world.shot(page, `models-${world.language}`);
		const expert = page.getByRole("row").filter({ hasText: "grok-expert" }).first();
		await expert.getByRole("button", { name: t("accounts.disable") }).click();
		await expert.getByText(t("models.off"), { exact: true }).waitFor();
		assert.equal((await asked()).error?.code, "model_disabled");
		await expert.getByRole("button", { name: t("accounts.enable") }).click();
		await expert.getByText(t("models.on"), { exact: true }).waitFor();
		await row.getByRole("button", { name: t("models.forget") }).click();
		await row.waitFor({ state: "detached" });
	});

	await check("accounts and requests are kept as files that spreadsheets read", async () => {
		for (const [path, head, has] of [
			["/accounts", "id,label,fingerprint,", ",available,"],
			["/requests?range=1h", "at,id,request_id,", ",grok-4.2,"],
		]) {
			await page.goto(`${base}/admin${path}`);
			const [download] = await Promise.all([page.waitForEvent("download"), button("overview.export_csv").click()]);
			const text = readFileSync(await download.path(), "utf8");
			assert.ok(text.startsWith(`\ufeff${head}`), text.slice(0, 100));
			assert.ok(text.includes(has), text);
		}
	});

	await check("a key is made, shown once, limited", async () => {
		await page.goto(`${base}/admin/keys`);
		await button("keys.create").first().click();
		const dialog = page.getByRole("dialog");
		await dialog.getByLabel(t("keys.name"), { exact: true }).fill("user-{n}");
		await dialog.getByLabel(t("keys.count"), { exact: true }).fill("3");
		await dialog.getByLabel(t("keys.rpm")).fill("30");
		await dialog.getByRole("button", { name: t("keys.create"), exact: true }).click();
		await dialog.locator("code").nth(2).waitFor();
		const shown = await dialog.locator("code").allInnerTexts();
		assert.equal(shown.length, 3);
		await button("keys.copy_all").click();
		await page.keyboard.press("Escape");
		await dialog.waitFor({ state: "detached" });
		const list = await page.locator("main").textContent();
		for (const secret of shown) assert.ok(!list.includes(secret), "a secret is shown once");
		assert.ok(list.includes(t("keys.per_minute", { n: 30 })));
	});

	await check("playground: answer, regenerate as a sibling, edit", async () => {
		await page.goto(`${base}/admin/playground`);
		await page.getByLabel(t("playground.message")).fill("first question");
		await page.keyboard.press("Enter");
		await button("playground.again").waitFor();
		await button("playground.again").click();
		await page.getByText("2/2").waitFor();
		await button("playground.edit").last().click();
		await page.getByRole("textbox", { name: t("playground.edit") }).fill("another question");
		await page
			.getByRole("log")
			.getByRole("button", { name: t("playground.send") })
			.click();
		await page.getByText("another question").first().waitFor();
		await button("playground.again").waitFor();
		// The first wording and its answers are a step away, and back again.
		await page
			.getByRole("log")
			.getByRole("button", { name: t("playground.previous") })
			.first()
			.click();
		await page.getByText("first question").first().waitFor();
		await page
			.getByRole("log")
			.getByRole("button", { name: t("playground.next") })
			.first()
			.click();
		await page.getByText("another question").first().waitFor();
		await page
			.getByRole("complementary", { name: t("playground.happened") })
			.getByText("conv-")
			.first()
			.waitFor();
		await world.shot(page, `playground-${world.language}`);
	});

	await check("looking changes nothing", async () => {
		// What accounts and keys were last used for is written down with the end, not in the middle of this.
		await world.stop("SIGTERM");
		await world.start();
		const before = world.rows();
		const rounds = world.language === "en" ? 1 : 10;
		for (let round = 0; round < rounds; round++) {
			for (const path of PAGES) {
				await page.goto(`${base}/admin${path}`);
				await page.getByRole("heading", { level: 1 }).waitFor();
			}
		}
		assert.deepEqual(world.rows(), before);
	});

	await check("what is not a file of the console is not read as one", async () => {
		assert.equal((await context.request.get(`${base}/admin/assets/nothing.js`)).status(), 404);
		assert.equal((await context.request.get(`${base}/admin/nowhere/at/all`)).status(), 200);
		const page = await context.request.get(`${base}/admin/`);
		assert.match(page.headers()["content-security-policy"], /default-src 'none'; script-src 'self'/);
		assert.doesNotMatch(page.headers()["content-security-policy"], /unsafe/);
	});

	await check("nothing foreign was asked, no policy was broken, no secret was shown", async () => {
		assert.deepEqual(foreign, []);
		assert.deepEqual(problems, []);
		const stored = await page.evaluate(
			() => JSON.stringify({ ...localStorage }) + JSON.stringify({ ...sessionStorage }) + document.documentElement.outerHTML,
		);
		for (const secret of [...world.tokens.map((token) => `"${token}"`), world.key, "correct horse battery"]) {
			assert.ok(!stored.includes(secret), "a secret is in the page or in storage");
			assert.ok(
				!world
					.log()
					.replace(/claim#\S+/, "")
					.includes(secret.replaceAll('"', "")),
				"a secret is in the log",
			);
			for (const [url, body] of bodies) assert.ok(!body.includes(secret) && !url.includes(secret), `${url} holds a secret`);
		}
	});
	world.state = await context.storageState();
	await context.close();
}
