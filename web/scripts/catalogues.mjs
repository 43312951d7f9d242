// Both languages have the same words, and every word that the code names is there and used.
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";

const languages = ["zh-CN", "en"];
const words = Object.fromEntries(
	languages.map((language) => {
		const directory = join("src/i18n", language);
		const areas = readdirSync(directory).map((name) => JSON.parse(readFileSync(join(directory, name), "utf8")));
		return [language, Object.assign({}, ...areas)];
	}),
);

function* sources(directory) {
	for (const name of readdirSync(directory)) {
		const path = join(directory, name);
		if (statSync(path).isDirectory()) yield* sources(path);
		else if (/\.tsx?$/.test(name)) yield readFileSync(path, "utf8");
	}
}
const code = [...sources("src")].join("\n");
const problems = [];
const placeholders = (text) =>
	[...text.matchAll(/\{(\w+)/g)]
		.map((match) => match[1])
		.sort()
		.join(",");
for (const key of new Set(languages.flatMap((language) => Object.keys(words[language])))) {
	for (const language of languages) {
		if (!(key in words[language])) problems.push(`${key} is missing in ${language}`);
	}
	const [zh, en] = languages.map((language) => words[language][key] ?? "");
	if (placeholders(zh) !== placeholders(en)) problems.push(`${key} has other figures in one language than in the other`);
	// A code of the server is put together: `error.${code}`. Then its family counts as used.
	const families = [...key.matchAll(/[._]/g)].map((match) => key.slice(0, match.index + 1));
	const isUsed = code.includes(`"${key}"`) || families.some((family) => code.includes(`\`${family}\${`));
	if (!isUsed) problems.push(`${key} is not used`);
}
for (const [, key] of code.matchAll(/\bt\(\s*"([^"]+)"/g)) {
	if (!(key in words.en)) problems.push(`${key} is used and not there`);
}
if (problems.length) {
	console.error(problems.join("\n"));
	process.exit(1);
}
