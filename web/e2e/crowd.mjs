// A hundred thousand accounts: import, a long list, work on many at once.
import assert from "node:assert/strict";

const MANY = 100_000;

export async function crowd(browser, world) {
	const { base, check, t } = world;
	const context = await world.context(browser);
	const page = await context.newPage();
	const total = MANY + world.tokens.length;
	const button = (where, key, values) => where.getByRole("button", { name: t(key, values), exact: true });
	const counted = (n) => t("jobs.outcome_succeeded_n", { n });
	const job = async (where) => {
		const response = await context.request.get(`${base}/admin/api/v1/jobs/${where.url().split("/").at(-1).split("?")[0]}`);
		return response.json();
	};

	await check("100,000 from a file: preview, the same job in another tab, cancel within 2 s, on after kill -9", async () => {
		const lines = Array.from(
			{ length: MANY },
			(_, index) => `eyJhbGciOiJIUzI1NiJ9.eyJpZCI6${String(index).padStart(8, "0")}.c2lnbmF0dXJl${index}`,
		);
		lines.splice(50_000, 0, "not a token", "neither is this", "nor that");
		await page.goto(`${base}/admin/accounts/new`);
		await page
			.locator("input[type=file]")
			.setInputFiles({ name: "many.txt", mimeType: "text/plain", buffer: Buffer.from(lines.join("\n")) });
		await page
			.getByText(t("accounts.preview", { entries: MANY + 3, fresh: MANY, duplicates: 0, existing: 0, unreadable: 3 }))
			.waitFor({ timeout: 15_000 });
		await page.getByLabel(t("accounts.enabled_at_once")).uncheck();
		await page.getByLabel(t("accounts.check_after_import")).uncheck();
		await page.getByLabel(t("accounts.prefix"), { exact: true }).fill("crowd-");
		await button(page, "accounts.import_n", { n: MANY }).click();
		const other = await context.newPage();
		await other.goto(`${base}/admin/jobs`);
		await other.getByRole("link", { name: t("jobs.kind_accounts_import", { n: MANY + 3 }) }).click();
		const began = Date.now();
		await button(other.getByRole("main"), "jobs.cancel").first().click();
		await other.getByRole("main").getByText(t("jobs.state_cancelled")).first().waitFor({ timeout: 10_000 });
		assert.ok(Date.now() - began <= 2_000, `it stopped after ${Date.now() - began} ms`);
		assert.ok((await job(other)).progress.done < MANY);
		// Killed while it goes on, it says so and can be continued.
		await button(other.getByRole("main"), "jobs.resume").first().click();
		await other.waitForTimeout(400);
		await world.restart();
		await other.reload();
		await other.getByRole("main").getByText(t("jobs.state_interrupted")).first().waitFor();
		await button(other.getByRole("main"), "jobs.resume").first().click();
		await other.getByRole("main").getByText(counted(MANY)).first().waitFor({ timeout: 120_000 });
		// Every line that is no account is listed.
		const failed = await context.request.get(`${base}/admin/api/v1/jobs/${(await job(other)).id}/items?outcome=failed`);
		assert.deepEqual(
			(await failed.json()).items.map((item) => item.subject),
			["many.txt:50001", "many.txt:50002", "many.txt:50003"],
		);
		await other.close();
	});

	await check("100,000 rows: the first soon, few nodes, frames on time, a jump to the end and back", async () => {
		await page.goto(`${base}/admin/`);
		await page.getByRole("heading", { level: 1 }).waitFor();
		const began = Date.now();
		await page
			.getByRole("link", { name: t("shell.accounts") })
			.first()
			.click();
		await page.getByRole("gridcell").first().waitFor();
		const first = Date.now() - began;
		await page.getByText(`/ ${total.toLocaleString("en")}`).waitFor();
		const nodes = await page.evaluate(() => document.querySelectorAll("*").length);
		assert.ok(nodes < 1_500, `${nodes} nodes`);
		const frames = await page.evaluate(async () => {
			const scroller = document.querySelector("[role=rowgroup]");
			const times = [];
			let last = performance.now();
			for (let step = 0; step < 120; step++) {
				scroller.scrollTop += 900;
				await new Promise((resolve) => requestAnimationFrame(resolve));
				times.push(performance.now() - last);
				last = performance.now();
			}
			return times.sort((left, right) => left - right);
		});
		console.log(
			`      first rows after ${first} ms, ${nodes} nodes, frames p50 ${frames[60].toFixed(1)} ms, p95 ${frames[114].toFixed(1)} ms`,
		);
		// The machine that runs this has no graphics card and other work: the median tells.
		assert.ok(frames[60] <= 1_000 / 55, `a frame takes ${frames[60]} ms`);
		assert.ok(first < 1_500, `the first rows come after ${first} ms`);
		const scrollTo = (where) =>
			page.evaluate((where) => {
				const scroller = document.querySelector("[role=rowgroup]");
				scroller.scrollTop = where === "end" ? scroller.scrollHeight : 0;
			}, where);
		await scrollTo("end");
		await page
			.locator(`[data-row="${total - 1}"] a`)
			.first()
			.waitFor();
		await world.shot(page, "many-accounts");
		await scrollTo("start");
		await page.locator('[data-row="0"] a').first().waitFor();
	});

	await check("while a job changes all of them, nothing moves under the pointer, and the chip tells", async () => {
		await page.goto(`${base}/admin/accounts?q=crowd-1&sort=label&state=disabled`);
		await page.locator('[data-row="0"] a').first().waitFor();
		const places = () =>
			page
				.locator("[data-row]")
				.evaluateAll((rows) =>
					rows.slice(0, 12).map((row) => [row.dataset.row, row.querySelector("a")?.textContent, row.getBoundingClientRect().top]),
				);
		const before = await places();
		const started = await context.request.post(`${base}/admin/api/v1/jobs`, {
			headers: { "X-Requested-With": "console" },
			data: { kind: "accounts.set", scope: { filter: { q: "crowd-1" } }, options: { enabled: true } },
		});
		assert.equal(started.status(), 202, await started.text());
		await page.getByRole("button", { name: t("accounts.list_changed") }).waitFor({ timeout: 20_000 });
		assert.deepEqual(await places(), before);
		const id = (await started.json()).id;
		await context.request.get(`${base}/admin/api/v1/jobs/${id}?wait=60`);
		await page.getByRole("button", { name: t("accounts.list_changed") }).click();
		await page.waitForTimeout(500);
		assert.notDeepEqual(await places(), before);
	});

	await check("select all that match, count, delete, have them back", async () => {
		await page.goto(`${base}/admin/accounts?q=crowd-9`);
		await page.getByRole("gridcell").first().waitFor();
		await page.getByRole("checkbox", { name: t("accounts.select_window"), exact: true }).check();
		const listed = await context.request.get(`${base}/admin/api/v1/accounts?q=crowd-9&limit=1`);
		const n = (await listed.json()).total;
		assert.ok(n > 6_000, `${n}`);
		const all = button(page, "accounts.select_all", { n });
		if (await all.isVisible()) await all.click();
		await page.getByText(t("accounts.selected", { n })).waitFor();
		await button(page, "accounts.delete").first().click();
		const dialog = page.getByRole("dialog");
		const sure = dialog.getByRole("button", { name: t("accounts.delete_n", { n }), exact: true });
		await sure.waitFor();
		assert.ok(await sure.isDisabled(), "the number has to be typed");
		await dialog.getByLabel(t("accounts.type_count", { n })).fill(String(n));
		await sure.click();
		await button(page, "shell.undo").waitFor();
		await page.goto(`${base}/admin/jobs`);
		await page
			.getByRole("link", { name: t("jobs.kind_accounts_delete", { n }) })
			.first()
			.click();
		await button(page, "jobs.restore", { n }).click({ timeout: 60_000 });
		await page.getByText(t("jobs.started")).first().waitFor();
		await page.goto(`${base}/admin/jobs`);
		await page
			.getByRole("link", { name: t("jobs.kind_accounts_restore", { n }) })
			.first()
			.click();
		await page.getByRole("main").getByText(counted(n)).first().waitFor({ timeout: 60_000 });
		await page.goto(`${base}/admin/accounts`);
		await page.getByText(`/ ${total.toLocaleString("en")}`).waitFor();
	});
	await context.close();
}
