// What the page of a resting account says, and what ends the rest.
import assert from "node:assert/strict";

export async function truth(browser, world) {
	const { base, check, t, tokens } = world;
	const context = await world.context(browser);
	const page = await context.newPage();
	const api = async (method, path, data) => {
		const response = await context.request.fetch(`${base}/admin/api/v1${path}`, {
			method,
			data,
			headers: { "X-Requested-With": "console" },
		});
		assert.ok(response.ok(), `${method} ${path}: ${await response.text()}`);
		return response.json();
	};
	let account;

	await check("a resting account says why, since when, until when, and what is left", async () => {
		// Whichever is chosen is limited once; of one cause only one account rests.
		for (const sso of tokens) await world.simulate(`/accounts/${sso}/reply`, { name: "rate-limited" });
		const headers = { "X-Request-ID": "req-limited-1" };
		await world.chat("who is limited?", { headers });
		for (let tries = 0; tries < 50; tries++) {
			[account] = (await api("GET", "/accounts?state=cooling")).items;
			if (account?.quota.length) break;
			await page.waitForTimeout(100);
		}
		await page.goto(`${base}/admin/accounts/${account.id}`);
		const state = page.getByRole("region", { name: t("accounts.state") });
		await state.getByText(t("accounts.reason_rate_limited_quota_left")).waitFor();
		const words = await state.textContent();
		assert.ok(words.includes(t("accounts.since", { at: "" }).trim()), words);
		assert.ok(words.includes(t("accounts.until", { at: "" }).trim()), words);
		// How much is left, and when that was read.
		await page
			.getByRole("row", { name: /auto/ })
			.getByText(/\d+ \/ \d+/)
			.waitFor();
		await page.getByRole("row", { name: /auto/ }).getByText(t("accounts.source_upstream")).waitFor();
		await world.shot(page, `account-resting-${world.language}`);
		// The request that caused it is one click away.
		await state.getByRole("link", { name: t("accounts.caused_by") }).click();
		await page.getByRole("dialog").getByText("req-limited-1").first().waitFor();
	});

	await check("a cleared rest is over for the very next request, and it is written down who did it", async () => {
		const others = (await api("GET", "/accounts?limit=10")).items.filter((one) => one.id !== account.id && one.enabled);
		for (const sso of tokens) await fetchDelete(`${world.upstream}/__simulator/accounts/${sso}/reply`);
		for (const other of others) await api("PATCH", `/accounts/${other.id}`, { enabled: false });
		assert.equal((await world.chat("is anybody there?")).status, 429, "all others are switched off");
		await page.goto(`${base}/admin/accounts/${account.id}`);
		await page.getByRole("button", { name: t("accounts.check_and_clear"), exact: true }).click();
		await page.getByText(t("accounts.cleared")).waitFor();
		assert.equal((await world.chat("and now?")).status, 200);
		for (const other of others) await api("PATCH", `/accounts/${other.id}`, { enabled: true });
		const trail = (await api("GET", "/audit?limit=20")).items;
		const entry = trail.find((one) => one.action === "account.clear_cooldown");
		assert.deepEqual([entry?.subject, entry?.actor], [account.id, "admin"]);
		await page.goto(`${base}/admin/accounts/${account.id}?tab=history`);
		const ended = page.getByRole("row").filter({ hasText: t("accounts.history_rest_ended") });
		await ended.filter({ hasText: "admin" }).first().waitFor();
		const began = page
			.getByRole("row")
			.filter({ hasText: t("accounts.history_rest_began") })
			.first();
		await began.getByText(t("accounts.reason_rate_limited_quota_left")).waitFor();
		await began.getByRole("link", { name: t("accounts.caused_by") }).waitFor();
		await world.shot(page, `account-history-${world.language}`);
		await page.getByRole("tab", { name: t("shell.conversations") }).click();
		await page
			.locator("main")
			.getByRole("link", { name: /^conv-/ })
			.first()
			.waitFor();
	});
	await check("dead accounts are found, shown, deleted and had back", async () => {
		await world.simulate("/accounts", { sso: tokens[2], credential: "unknown" });
		await page.goto(`${base}/admin/accounts`);
		await page.getByRole("button", { name: t("accounts.find_dead"), exact: true }).click();
		await page.getByRole("button", { name: t("jobs.delete_found", { n: 1 }), exact: true }).click();
		const dialog = page.getByRole("dialog");
		await dialog.getByText(t("accounts.state_invalid")).waitFor();
		await world.shot(page, `dead-accounts-${world.language}`);
		await dialog.getByRole("button", { name: t("accounts.delete_n", { n: 1 }), exact: true }).click();
		await page.getByRole("button", { name: t("shell.undo"), exact: true }).click();
		for (let tries = 0; tries < 50 && (await api("GET", "/accounts?limit=1")).total < tokens.length; tries++)
			await page.waitForTimeout(100);
		assert.equal((await api("GET", "/accounts?limit=1")).total, tokens.length);
		// A new life for it: the next parts need all three.
		await world.simulate("/accounts", { sso: tokens[2], credential: "valid" });
		const [dead] = (await api("GET", "/accounts?state=invalid")).items;
		await api("POST", `/accounts/${dead.id}/actions/clear_cooldown`);
	});

	await check("conversations are counted before they are deleted", async () => {
		const { total } = await api("GET", "/conversations?key=console");
		assert.ok(total > 0);
		await page.goto(`${base}/admin/conversations?key=console`);
		await page.getByRole("button", { name: t("jobs.delete_matching"), exact: true }).click();
		const sure = page
			.getByRole("dialog")
			.getByRole("button", { name: t("jobs.delete_conversations", { n: total }), exact: true });
		await page.getByLabel(t("jobs.delete_upstream")).check();
		await sure.click();
		await page.getByText(t("jobs.started")).first().waitFor();
		for (let tries = 0; tries < 50 && (await api("GET", "/conversations?key=console")).total; tries++)
			await page.waitForTimeout(100);
		assert.equal((await api("GET", "/conversations?key=console")).total, 0);
	});
	await context.close();
}

function fetchDelete(url) {
	return fetch(url, { method: "DELETE" });
}
