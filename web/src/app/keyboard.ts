// Keys that work everywhere. Single letters are off while something is typed, and can be switched off altogether.
import { useEffect, useRef } from "react";
import { currentTaste, setTaste } from "../taste";

export function isTyping(target: EventTarget | null): boolean {
	return target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName));
}

type Global = { go: (key: string) => void; jump: () => void; help: () => void };

export function useShortcuts(actions: Global) {
	const latest = useRef(actions);
	latest.current = actions;
	useEffect(() => {
		let sequence = 0;
		const press = (event: KeyboardEvent) => {
			if (event.isComposing) return;
			if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
				event.preventDefault();
				latest.current.jump();
				return;
			}
			if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target) || !currentTaste().singleKeys) return;
			if (document.querySelector("dialog[open]")) return;
			if (Date.now() - sequence < 1_000) {
				sequence = 0;
				latest.current.go(event.key);
			} else if (event.key === "g") {
				sequence = Date.now();
			} else if (event.key === "?") {
				latest.current.help();
			} else if (event.key === "\\") {
				setTaste({ sidebar: currentTaste().sidebar === "wide" ? "narrow" : "wide" });
			} else if (event.key === "/") {
				const search = document.querySelector<HTMLElement>("main [type=search]");
				event.preventDefault();
				if (search) search.focus();
				else latest.current.jump();
			}
		};
		addEventListener("keydown", press);
		return () => removeEventListener("keydown", press);
	}, []);
}

/** Single keys of a page. */
export function useKeys(keys: Record<string, (event: KeyboardEvent) => void>) {
	const latest = useRef(keys);
	latest.current = keys;
	useEffect(() => {
		const press = (event: KeyboardEvent) => {
			if (event.isComposing || event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
			if (document.querySelector("dialog[open]") || (event.key.length === 1 && !currentTaste().singleKeys)) return;
			const action = latest.current[event.key];
			if (action) {
				event.preventDefault();
				action(event);
			}
		};
		addEventListener("keydown", press);
		return () => removeEventListener("keydown", press);
	}, []);
}
