// The gateway is killed while it is looked at; many tabs are open: `E2E_MINUTES=60` leaves them open for an hour.
import assert from "node:assert/strict";

export async function outage(browser, world) {
	const { base, check, t, tokens } = world;
	const context = await world.context(browser);

	await check("killed while streaming: the chat and the dot say so, and all goes on", async () => {
		const page = await context.newPage();
		for (const sso of tokens) await world.simulate(`/accounts/${sso}/reply`, { tokens: 400, interval_ms: 50 });
		await page.goto(`${base}/admin/playground`);
		await page.getByText(t("shell.live_live"), { exact: true }).waitFor();
		await page.getByLabel(t("playground.message")).fill("a long story");
		await page.keyboard.press("Enter");
		await page.waitForTimeout(1_500);
		await world.stop("SIGKILL");
		await page.getByRole("alert").first().waitFor({ timeout: 10_000 });
		await page.getByText(t("shell.live_retrying"), { exact: true }).waitFor({ timeout: 40_000 });
		await world.start();
		await page.getByText(t("shell.live_live"), { exact: true }).waitFor({ timeout: 40_000 });
		for (const sso of tokens) await fetch(`${world.upstream}/__simulator/accounts/${sso}/reply`, { method: "DELETE" });
		await page.getByLabel(t("playground.message")).fill("once more");
		await page.keyboard.press("Enter");
		await page
			.getByRole("button", { name: t("playground.again"), exact: true })
			.last()
			.waitFor();
		await page.close();
	});

	await check("seven tabs are live over one event connection", async () => {
		let open = 0;
		let most = 0;
		const isEvents = (request) => /\/admin\/api\/v1\/events\?/.test(request.url());
		context.on("request", (request) => {
			if (isEvents(request)) most = Math.max(most, ++open);
		});
		for (const end of ["requestfinished", "requestfailed"])
			context.on(end, (request) => {
				if (isEvents(request)) open -= 1;
			});
		const tabs = [];
		for (const path of ["/", "/accounts", "/keys", "/requests", "/jobs", "/settings", "/system"]) {
			const tab = await context.newPage();
			await tab.goto(`${base}/admin${path}`);
			await tab.getByText(t("shell.live_live"), { exact: true }).waitFor({ timeout: 15_000 });
			tabs.push(tab);
		}
		await tabs[0].waitForTimeout(Number(process.env.E2E_MINUTES ?? 0.05) * 60_000);
		assert.equal(open, 1, `${open} event streams are open`);
		for (const tab of tabs) assert.ok(await tab.getByText(t("shell.live_live"), { exact: true }).first().isVisible());
		// What changes is seen where one looks, without loading anything anew.
		const made = await context.request.post(`${base}/admin/api/v1/keys`, {
			headers: { "X-Requested-With": "console" },
			data: { name: "seen-at-once" },
		});
		assert.equal(made.status(), 201);
		await tabs[2].bringToFront();
		await tabs[2].getByText("seen-at-once").first().waitFor({ timeout: 5_000 });
		for (const tab of tabs) await tab.close();
	});
	await context.close();
}
