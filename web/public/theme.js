// Before the first paint, so that nothing flashes: theme and language as they were chosen, or as the browser has them.
(() => {
	let taste = {};
	try {
		taste = JSON.parse(localStorage.getItem("grok2api.taste") || "{}");
	} catch {
		// Not ours, or not readable: the defaults do.
	}
	const root = document.documentElement;
	const dark = matchMedia("(prefers-color-scheme: dark)").matches;
	root.dataset.theme = taste.theme === "dark" || taste.theme === "light" ? taste.theme : dark ? "dark" : "light";
	root.lang = taste.language || (navigator.language.startsWith("zh") ? "zh-CN" : "en");
})();
