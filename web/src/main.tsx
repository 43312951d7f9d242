// The console, once somebody is signed in.
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { ApiError } from "./api/client";
import { startEvents } from "./api/events";
import { applyEvents } from "./api/live";
import { App } from "./app/App";

const queries = new QueryClient({
	defaultOptions: {
		// A gateway in the local network answers without the internet, whatever the browser thinks of it.
		mutations: { networkMode: "always" },
		queries: {
			networkMode: "always",
			staleTime: 10_000,
			refetchOnWindowFocus: false,
			// What the API refused will be refused again; only a silent gateway is asked again.
			retry: (count, error) => error instanceof ApiError && (error.status === 0 || error.status >= 500) && count < 2,
		},
	},
});

/** The second click of a double one does nothing more: what a button starts is started once. */
function onlyOnce(event: MouseEvent) {
	const button = (event.target as Element).closest?.("button");
	if (event.detail > 1 && button && !button.dataset.repeat) {
		event.preventDefault();
		event.stopPropagation();
	}
}

export function mount(root: HTMLElement) {
	addEventListener("click", onlyOnce, { capture: true });
	startEvents();
	applyEvents(queries);
	createRoot(root).render(
		<StrictMode>
			<QueryClientProvider client={queries}>
				<App />
			</QueryClientProvider>
		</StrictMode>,
	);
}
