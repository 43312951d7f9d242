// Words by key. Both languages have the same keys (scripts/catalogues.mjs); a language is loaded when it is chosen.
import { useSyncExternalStore } from "react";
import { currentTaste, type Language, onTaste } from "../taste";
import type { Words } from "./en";

export type Key = keyof Words;
type Values = Record<string, string | number | null | undefined>;

const loaders: Record<Language, () => Promise<{ words: Words }>> = {
	en: () => import("./en"),
	"zh-CN": () => import("./zh-CN") as Promise<{ words: Words }>,
};

let words = {} as Words;
let language: Language = "en";
let version = 0;
const listeners = new Set<() => void>();

/** Loads the chosen language; the screen changes when it is there. */
export async function loadLanguage() {
	const wanted = currentTaste().language;
	const loaded = await loaders[wanted]();
	words = loaded.words;
	language = wanted;
	version += 1;
	for (const listener of listeners) listener();
}

onTaste(() => {
	if (currentTaste().language !== language) void loadLanguage();
});

/** The words of a key, with figures put in: `{n}`, and `{n, plural, one {# job} other {# jobs}}`. */
export function t(key: Key, values?: Values): string {
	return format(words[key] ?? key, values);
}

/** The words of a key that is put together from a code of the server; `otherwise` for codes that are new to this console. */
export function tCode(key: string, otherwise: string, values?: Values): string {
	const found = (words as Record<string, string>)[key];
	return found ? format(found, values) : otherwise;
}

export function currentLanguage(): Language {
	return language;
}

/** Renders again when the language has changed. */
export function useLanguage(): Language {
	useSyncExternalStore(
		(listener) => {
			listeners.add(listener);
			return () => listeners.delete(listener);
		},
		() => version,
	);
	return language;
}

function format(text: string, values: Values = {}): string {
	return text
		.replace(/\{(\w+), plural, one \{([^}]*)\} other \{([^}]*)\}\}/g, (_, name, one, other) => {
			const value = Number(values[name] ?? 0);
			const chosen = new Intl.PluralRules(language).select(value) === "one" ? one : other;
			return chosen.replace("#", number(value));
		})
		.replace(/\{(\w+)\}/g, (_, name) => {
			const value = values[name];
			return typeof value === "number" ? number(value) : (value ?? "").toString();
		});
}

/** A number as the language writes it, exactly. */
export function number(value: number, options?: Intl.NumberFormatOptions): string {
	return new Intl.NumberFormat(language, options).format(value);
}
