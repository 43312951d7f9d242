// What the console weighs, as it is sent.
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";

/** First page 150 KB of script and 16 KB of style, the sign-in page 20 KB, further pages 35 KB, charts 30 KB. */
export function budgets(assets) {
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
