// What colours tell is told to those who do not see red and green apart.
import assert from "node:assert/strict";

/** Linear light of deuteranopes, after Viénot, Brettel and Mollon (1999). */
const DEUTERANOPIA = [
	[0.29275, 0.70725, 0],
	[0.29275, 0.70725, 0],
	[-0.02234, 0.02234, 1],
];

const linear = (value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);

/** Relative luminance of a colour as a deuteranope sees it, and how blue it is. */
function seen([red, green, blue]) {
	const light = [red, green, blue].map((value) => linear(value / 255));
	const [r, g, b] = DEUTERANOPIA.map((row) => row.reduce((sum, factor, index) => sum + factor * light[index], 0));
	return { luminance: 0.2126 * r + 0.7152 * g + 0.0722 * b, blue: b - (r + g) / 2 };
}

export async function colours(browser, world) {
	const { base, check } = world;
	for (const theme of ["light", "dark"]) {
		const context = await world.context(browser, { colorScheme: theme });
		await context.addInitScript(
			([language, theme]) => localStorage.setItem("grok2api.taste", JSON.stringify({ language, theme })),
			[world.language, theme],
		);
		const page = await context.newPage();
		await check(`${theme}: states and the failed share are told apart without red and green`, async () => {
			await page.goto(`${base}/admin/`);
			await page.getByRole("heading", { level: 1 }).waitFor();
			await page.waitForTimeout(800);
			const rgb = await page.evaluate(() => {
				const context = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
				const of = (name) => {
					context.fillStyle = getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
					context.fillRect(0, 0, 1, 1);
					return [...context.getImageData(0, 0, 1, 1).data].slice(0, 3);
				};
				return { succeeded: of("accent"), failed: of("bad"), ok: of("ok") };
			});
			const [succeeded, failed] = [seen(rgb.succeeded), seen(rgb.failed)];
			const apart = Math.abs(succeeded.blue - failed.blue) + Math.abs(succeeded.luminance - failed.luminance);
			assert.ok(apart > 0.1, `the bars look alike: ${JSON.stringify({ succeeded, failed })}`);
			// Green and red are never alone: a state has its sign and its word, a failed share its stripes.
			const pills = await page
				.locator("main")
				.getByText(/\b200\b/)
				.first()
				.locator("xpath=..")
				.innerHTML();
			assert.match(pills, /<svg/);
			const session = await context.newCDPSession(page);
			await session.send("Emulation.setEmulatedVisionDeficiency", { type: "deuteranopia" });
			await world.shot(page, `deuteranopia-${theme}`);
		});
		await context.close();
	}
}
