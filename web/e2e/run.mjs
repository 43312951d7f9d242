// The console in a real browser, against a gateway and a simulated upstream of its own: the way that a user takes in both languages and
// by keyboard alone, a hundred thousand accounts, what a failure looks like, axe on every page in both themes and languages, budgets, and no
// secret anywhere. `E2E_BIN` names the directory of the binaries; `--shots DIRECTORY` keeps pictures of all pages; `--only WORD` takes the
// parts whose name has the word.
import { mkdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { chromium } from "playwright-core";
import { access } from "./axe.mjs";
import { budgets } from "./budgets.mjs";
import { colours } from "./colours.mjs";
import { crowd } from "./crowd.mjs";
import { byKeyboard } from "./keyboard.mjs";
import { outage } from "./outage.mjs";
import { truth } from "./truth.mjs";
import { walk } from "./walk.mjs";
import { makeWorld } from "./world.mjs";

const option = (name) => (process.argv.includes(name) ? process.argv[process.argv.indexOf(name) + 1] : undefined);
const shots = option("--shots");
const only = option("--only");
const browserPath = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find((path) =>
	statSync(path, { throwIfNoEntry: false }),
);
if (!browserPath) {
	console.error("no Chromium: apt install chromium");
	process.exit(1);
}
const results = [];

/** One line of the report; the rest goes on after a failure. */
async function check(name, body) {
	const began = performance.now();
	try {
		await body();
		results.push({ name, ok: true });
		console.log(`ok    ${name} (${Math.round(performance.now() - began)} ms)`);
	} catch (error) {
		results.push({ name, ok: false });
		const trace = String(error?.stack ?? error);
		console.log(`FAIL  ${name}\n      ${trace.split("\n").slice(0, 12).join("\n      ")}`);
	}
}

if (shots) mkdirSync(shots, { recursive: true });
const browser = await chromium.launch({ executablePath: browserPath, args: ["--no-sandbox"] });
const wanted = (name) => !only || name.includes(only);

/** Parts that share a gateway. The first claims it. */
async function parts(taste, ...list) {
	if (!list.some((part) => wanted(part.name))) return;
	const world = await makeWorld({ ...taste, shots, check: (name, body) => check(`${taste.language}: ${name}`, body) });
	try {
		for (const [index, part] of list.entries()) if (index === 0 || wanted(part.name)) await part(browser, world);
	} finally {
		world.end();
	}
}

try {
	if (wanted("budgets")) await check("budgets of scripts and styles", () => budgets(join(import.meta.dirname, "../dist/assets")));
	await parts({ language: "zh-CN", theme: "light" }, walk, truth, outage, colours, access, crowd);
	await parts({ language: "en", theme: "dark" }, walk, truth);
	await parts({ language: "en", theme: "light" }, byKeyboard);
} finally {
	await browser.close();
}
const failed = results.filter((result) => !result.ok);
console.log(`\n${results.length} checks, ${failed.length} failed`);
process.exit(failed.length ? 1 : 0);
