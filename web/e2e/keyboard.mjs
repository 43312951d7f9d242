// The first way again, without a pointer.
import assert from "node:assert/strict";

export async function byKeyboard(browser, world) {
	const { base, t } = world;
	const context = await world.context(browser);
	const page = await context.newPage();

	/** Goes on with Tab until what has the focus is called so. */
	const reach = async (name, pressed = "Tab") => {
		const seen = [];
		for (let presses = 0; presses < 60; presses++) {
			const focused = await page.evaluate(() => {
				const element = document.activeElement;
				const label = element?.labels?.[0]?.textContent ?? element?.getAttribute("aria-label") ?? element?.textContent ?? "";
				return label.trim();
			});
			if (focused === name || focused.startsWith(`${name}`)) return;
			seen.push(focused.slice(0, 20));
			await page.keyboard.press(pressed);
		}
		assert.fail(`${name} cannot be reached; passed ${seen.join(" | ")}`);
	};
	const press = async (name) => {
		await reach(name);
		await page.keyboard.press("Enter");
	};

	await world.check("by keyboard alone: claim, three tokens, a chat, a curl", async () => {
		await page.goto(`${base}/admin/claim#${world.claimCode()}`);
		await page.getByLabel(t("door.password"), { exact: true }).waitFor();
		await reach(t("door.password"));
		await page.keyboard.insertText("correct horse battery");
		await page.keyboard.press("Enter");
		await page.getByRole("heading", { name: t("overview.start"), exact: true }).waitFor();
		await reach(t("accounts.paste"));
		await page.keyboard.insertText(world.tokens.join("\n"));
		await page.getByRole("button", { name: t("accounts.import_n", { n: 3 }), exact: true }).waitFor();
		await press(t("accounts.import_n", { n: 3 }));
		await page.getByRole("link", { name: `${t("accounts.state_available")} 3` }).waitFor();
		await reach(t("playground.message"));
		await page.keyboard.insertText("hello there");
		await press(t("playground.send"));
		await page.locator("[aria-live] p").filter({ hasText: "hello" }).first().waitFor();
		await press(t("keys.create_default"));
		const curl = page.locator("pre").filter({ hasText: "Bearer sk-" }).first();
		await curl.waitFor();
		world.key = /Bearer (sk-[^"\s]+)/.exec(await curl.textContent())?.[1];
		assert.equal((await world.chat("from the snippet")).status, 200);
	});
	await context.close();
}
