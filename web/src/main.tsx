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
		queries: {
			staleTime: 10_000,
			refetchOnWindowFocus: false,
			// What the API refused will be refused again; only a silent gateway is asked again.
			retry: (count, error) => error instanceof ApiError && (error.status === 0 || error.status >= 500) && count < 2,
		},
	},
});

export function mount(root: HTMLElement) {
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
