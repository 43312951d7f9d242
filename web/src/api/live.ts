// What the event stream tells, put into what was loaded: values change in place, lists are only marked as changed.
import type { QueryClient } from "@tanstack/react-query";
import type { Schema } from "./client";
import { type LiveEvent, onEvent } from "./events";

type Page<T> = { items: T[]; total: number };

const listChanged = new Set<() => void>();

/** Calls back when accounts came or went. */
export function onAccountsChanged(listener: () => void): () => void {
	listChanged.add(listener);
	return () => listChanged.delete(listener);
}

const jobEnded = new Set<(id: string) => void>();

/** Calls back when a job has ended. */
export function onJobEnded(listener: (id: string) => void): () => void {
	jobEnded.add(listener);
	return () => jobEnded.delete(listener);
}

export function applyEvents(queries: QueryClient) {
	onEvent((event) => apply(queries, event));
}

function apply(queries: QueryClient, { name, data }: LiveEvent) {
	switch (name) {
		case "accounts.summary":
			queries.setQueryData(["accounts", "summary"], data);
			break;
		case "attention":
			queries.setQueryData(["attention"], data);
			break;
		case "account": {
			const account = (data as { patch: Schema["AccountView"] }).patch;
			queries.setQueryData(["account", account.id], account);
			void queries.invalidateQueries({ queryKey: ["account_history", account.id] });
			queries.setQueriesData<Schema["AccountPage"]>({ queryKey: ["accounts", "window"] }, (page) =>
				page?.items.some((one) => one.id === account.id)
					? { ...page, items: page.items.map((one) => (one.id === account.id ? account : one)) }
					: page,
			);
			break;
		}
		case "account.list_changed":
			for (const listener of listChanged) listener();
			break;
		case "job": {
			const job = data as Schema["JobView"];
			queries.setQueryData(["job", job.id], job);
			if (job.finished_at) for (const listener of jobEnded) listener(job.id);
			if (job.kind === "requests.purge" && job.finished_at) void queries.invalidateQueries({ queryKey: ["requests"] });
			queries.setQueryData<Page<Schema["JobView"]>>(["jobs"], (page) => {
				if (!page) return page;
				const known = page.items.some((one) => one.id === job.id);
				return known
					? { ...page, items: page.items.map((one) => (one.id === job.id ? job : one)) }
					: { items: [job, ...page.items], total: page.total + 1 };
			});
			break;
		}
		case "job.deleted":
			void queries.invalidateQueries({ queryKey: ["jobs"] });
			break;
		case "key":
		case "key.list_changed":
			void queries.invalidateQueries({ queryKey: ["keys"] });
			break;
		case "settings":
			void queries.invalidateQueries({ queryKey: ["settings"] });
			break;
		case "conversation":
			void queries.invalidateQueries({ queryKey: ["conversations"] });
			break;
		case "image.list_changed":
			void queries.invalidateQueries({ queryKey: ["images"] });
			break;
		case "resync":
			void queries.invalidateQueries();
			for (const listener of listChanged) listener();
			break;
	}
}
