// The pages, each loaded when it is opened or earlier, when there is time.
import { type ComponentType, lazy, useState } from "react";

type Load = () => Promise<{ default: ComponentType }>;

/** How long after the start the other pages are fetched, so that opening one waits for its data alone. */
const LATER_MS = 1_000;

const waiting: (() => Promise<unknown>)[] = [];

function page(load: Load) {
	let loaded: ComponentType | undefined;
	const remember = async () => {
		const module = await load();
		loaded = module.default;
		return module;
	};
	const Lazy = lazy(remember);
	waiting.push(remember);
	return function Page() {
		// Chosen once: a page that came late must not be begun anew.
		const [Ready] = useState(() => loaded ?? Lazy);
		return <Ready />;
	};
}

export const Overview = page(() => import("../pages/overview/Overview"));
export const Playground = page(() => import("../pages/playground/Playground"));
export const Accounts = page(() => import("../pages/accounts/Accounts"));
export const Account = page(() => import("../pages/accounts/Account"));
export const Keys = page(() => import("../pages/keys/Keys"));
export const Connect = page(() => import("../pages/keys/Connect"));
export const Models = page(() => import("../pages/models/Models"));
export const Stats = page(() => import("../pages/overview/Stats"));
export const Requests = page(() => import("../pages/requests/Requests"));
export const Conversations = page(() => import("../pages/conversations/Conversations"));
export const Images = page(() => import("../pages/images/Images"));
export const Jobs = page(() => import("../pages/jobs/Jobs"));
export const Settings = page(() => import("../pages/settings/Settings"));
export const System = page(() => import("../pages/system/System"));

/** Fetches the pages one after the other, unless the browser is told to save data. */
export function fetchLater() {
	const connection = (navigator as { connection?: { saveData?: boolean } }).connection;
	if (connection?.saveData) return () => undefined;
	const timer = setTimeout(async () => {
		// One that cannot be fetched now is fetched when it is opened, and then says why it cannot be shown.
		for (const fetchPage of waiting) await fetchPage().catch(() => undefined);
	}, LATER_MS);
	return () => clearTimeout(timer);
}
