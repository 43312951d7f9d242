// What is taste rather than place: theme, language, sidebar. In this browser only, one object.

export type Theme = "system" | "light" | "dark";
export type Language = "zh-CN" | "en";

type Taste = {
	theme: Theme;
	language: Language;
	sidebar: "wide" | "narrow";
	singleKeys: boolean;
};

const NAME = "grok2api.taste";

function load(): Taste {
	let stored: Partial<Taste> = {};
	try {
		stored = JSON.parse(localStorage.getItem(NAME) ?? "{}");
	} catch {
		// Damaged or not allowed: the defaults do.
	}
	return {
		theme: stored.theme ?? "system",
		language: stored.language ?? (navigator.language.startsWith("zh") ? "zh-CN" : "en"),
		sidebar: stored.sidebar ?? "wide",
		singleKeys: stored.singleKeys ?? true,
	};
}

let taste = load();
const listeners = new Set<() => void>();

export function currentTaste(): Taste {
	return taste;
}

export function setTaste(change: Partial<Taste>) {
	taste = { ...taste, ...change };
	try {
		localStorage.setItem(NAME, JSON.stringify(taste));
	} catch {
		// Private windows may refuse: then it holds until the page is left.
	}
	applyTheme();
	document.documentElement.lang = taste.language;
	for (const listener of listeners) listener();
}

export function onTaste(listener: () => void): () => void {
	listeners.add(listener);
	return () => listeners.delete(listener);
}

const dark = matchMedia("(prefers-color-scheme: dark)");

function applyTheme() {
	const { theme } = taste;
	document.documentElement.dataset.theme = theme === "system" ? (dark.matches ? "dark" : "light") : theme;
}

dark.addEventListener("change", applyTheme);
