// The console's own words, so that the same steps are taken in either language.
import { readdirSync, readFileSync } from "node:fs";

/** `t(key, values)` of a language: the words as the console shows them. */
export function wordsOf(language) {
	const directory = new URL(`../src/i18n/${language}/`, import.meta.url);
	const areas = readdirSync(directory).map((name) => JSON.parse(readFileSync(new URL(name, directory), "utf8")));
	const words = Object.assign({}, ...areas);
	const number = (value) => new Intl.NumberFormat(language).format(value);
	return (key, values = {}) => {
		if (!(key in words)) throw new Error(`no words for ${key}`);
		return words[key]
			.replace(/\{(\w+), plural, one \{([^}]*)\} other \{([^}]*)\}\}/g, (_, name, one, other) =>
				(new Intl.PluralRules(language).select(values[name]) === "one" ? one : other).replace("#", number(values[name])),
			)
			.replace(/\{(\w+)\}/g, (_, name) => (typeof values[name] === "number" ? number(values[name]) : (values[name] ?? "")));
	};
}
