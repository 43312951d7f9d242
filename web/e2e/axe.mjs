// axe on every page, in both languages and themes, and nothing that scrolls sideways on a phone.
import assert from "node:assert/strict";
import { AxeBuilder } from "@axe-core/playwright";

const PAGES = [
	"/",
	"/?start=1",
	"/playground",
	"/accounts",
	"/accounts/new",
	"/keys",
	"/models",
	"/connect",
	"/stats",
	"/requests",
	"/conversations",
	"/images",
	"/jobs",
	"/settings",
	"/settings/history",
	"/system",
	"/system?tab=audit",
	"/system?tab=sessions",
	"/system?tab=tokens",
];

export async function access(browser, world) {
	for (const [language, theme] of [
		["zh-CN", "light"],
		["en", "dark"],
		["en", "light"],
		["zh-CN", "dark"],
	]) {
		const context = await browser.newContext({
			storageState: world.state,
			viewport: { width: 1440, height: 900 },
			locale: language,
			colorScheme: theme,
			bypassCSP: true,
		});
		await context.addInitScript(
			([language, theme]) => localStorage.setItem("grok2api.taste", JSON.stringify({ language, theme })),
			[language, theme],
		);
		const page = await context.newPage();
		for (const path of PAGES) {
			await world.check(`axe ${language} ${theme} ${path}`, async () => {
				await page.goto(`${world.base}/admin${path}`);
				await page.getByRole("heading", { level: 1 }).first().waitFor();
				await page.waitForTimeout(400);
				const { violations } = await new AxeBuilder({ page }).analyze();
				assert.deepEqual(
					violations.map(
						(one) =>
							`${one.id}: ${one.nodes
								.slice(0, 3)
								.map((node) => node.target.join(" "))
								.join(", ")}`,
					),
					[],
				);
				await world.shot(page, `${path.replace(/\W+/g, "-").replace(/^-|-$/g, "") || "overview"}-${language}-${theme}`);
			});
		}
		await context.close();
	}
	const phone = await browser.newContext({
		storageState: world.state,
		viewport: { width: 320, height: 700 },
		hasTouch: true,
		isMobile: true,
		locale: "zh-CN",
	});
	const page = await phone.newPage();
	for (const path of PAGES) {
		await world.check(`no sideways scroll at 320 px ${path}`, async () => {
			await page.goto(`${world.base}/admin${path}`);
			await page.getByRole("heading", { level: 1 }).first().waitFor();
			await page.waitForTimeout(300);
			const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
			assert.ok(wide <= 0, `${wide} px too wide`);
			await world.shot(page, `${path.replace(/\W+/g, "-").replace(/^-|-$/g, "") || "overview"}-phone`);
		});
	}
	await phone.close();
}
