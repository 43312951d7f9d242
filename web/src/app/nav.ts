// The places of the console.
import type { Key } from "../i18n";

export type Place = { path: string; icon: string; name: Key; key: string };

export const groups: { name: Key | null; places: Place[] }[] = [
	{
		name: null,
		places: [
			{ path: "/", icon: "overview", name: "shell.overview", key: "o" },
			{ path: "/playground", icon: "chat", name: "shell.playground", key: "p" },
		],
	},
	{
		name: "shell.resources",
		places: [
			{ path: "/accounts", icon: "account", name: "shell.accounts", key: "a" },
			{ path: "/keys", icon: "key", name: "shell.keys", key: "k" },
			{ path: "/models", icon: "model", name: "shell.models", key: "m" },
			{ path: "/connect", icon: "connect", name: "shell.connect", key: "n" },
		],
	},
	{
		name: "shell.observe",
		places: [
			{ path: "/stats", icon: "stats", name: "shell.stats", key: "s" },
			{ path: "/requests", icon: "list", name: "shell.requests", key: "r" },
			{ path: "/conversations", icon: "tree", name: "shell.conversations", key: "c" },
			{ path: "/images", icon: "image", name: "shell.images", key: "i" },
		],
	},
	{
		name: "shell.system_group",
		places: [
			{ path: "/jobs", icon: "job", name: "shell.jobs", key: "j" },
			{ path: "/settings", icon: "settings", name: "shell.settings", key: "e" },
			{ path: "/system", icon: "system", name: "shell.system", key: "y" },
		],
	},
];

export const places = groups.flatMap((group) => group.places);

export function placeOf(path: string): Place | undefined {
	return places.filter((place) => path === place.path || path.startsWith(`${place.path}/`)).at(-1) ?? places[0];
}
