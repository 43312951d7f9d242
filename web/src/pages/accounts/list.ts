// The list of accounts as the address says, cut into windows of one kept order.
import { keepPreviousData, type QueryClient, useQueries, useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useMemo, useRef, useState } from "react";
import { ApiError, api, type Schema } from "../../api/client";
import { onAccountsChanged, onJobEnded } from "../../api/live";
import { isOwnJob } from "./actions";

export const WINDOW = 100;

export type Filter = {
	state?: string;
	tier?: string;
	tag?: string;
	reason?: string;
	duplicate?: string;
	q?: string;
	sort?: string;
};

export const FILTERS = ["state", "tier", "tag", "reason", "duplicate", "q", "sort"] as const;

const load = (query: Record<string, unknown>) => api.get("/admin/api/v1/accounts", { params: { query } });

/** The filter of nothing in particular. */
export const NO_FILTER = { state: null, tier: null, tag: null, reason: null, duplicate: null, q: null };

/** First window, order and counts; further windows by `useWindows`. */
export function useAccountList(filter: Filter) {
	const queries = useQueryClient();
	const [generation, setGeneration] = useState(0);
	const [changed, setChanged] = useState(0);
	const text = JSON.stringify(filter);
	const first = useQuery({
		queryKey: ["accounts", "first", text, generation],
		queryFn: async () => {
			const page = await load({ ...filter, limit: WINDOW });
			queries.setQueryData(windowKey(page.view, 0), page);
			return page;
		},
		staleTime: Number.POSITIVE_INFINITY,
		gcTime: 0,
		placeholderData: keepPreviousData,
	});
	useEffect(() => setChanged(0), [text, generation]);
	useEffect(() => onAccountsChanged(() => setChanged((count) => count + 1)), []);
	// Nothing moves under the pointer: what came or went is shown when asked for, and at once where there was nothing.
	const reload = () => setGeneration((count) => count + 1);
	// What this tab has done itself is no surprise.
	useEffect(() => onJobEnded((id) => isOwnJob(id) && reload()), []);
	const isEmpty = first.data?.total === 0;
	useEffect(() => {
		if (changed && isEmpty) reload();
	}, [changed, isEmpty]);
	return { first, changed: changed > 0, reload };
}

function windowKey(view: string, index: number) {
	return ["accounts", "window", view, index];
}

/** The rows between two positions, as far as they are there. */
export function useWindows(view: string | undefined, from: number, to: number, onExpired: () => void) {
	const queries = useQueryClient();
	const indexes = useMemo(() => {
		const first = Math.floor(from / WINDOW);
		const last = Math.floor(Math.max(from, to) / WINDOW);
		return Array.from({ length: Math.min(4, last - first + 1) }, (_, step) => first + step);
	}, [from, to]);
	const results = useQueries({
		queries: view
			? indexes.map((index) => ({
					queryKey: windowKey(view, index),
					queryFn: () => load({ view, offset: index * WINDOW, limit: WINDOW }),
					staleTime: 60_000,
					retry: false,
					// Rows are read from the cache: a changed row must be drawn anew.
					notifyOnChangeProps: ["data" as const, "error" as const],
				}))
			: [],
	});
	const expired = results.some((result) => result.error instanceof ApiError && result.error.code === "view_expired");
	const latest = useRef(onExpired);
	latest.current = onExpired;
	useEffect(() => {
		if (expired) latest.current();
	}, [expired]);
	return (position: number) => rowAt(queries, view, position);
}

function rowAt(queries: QueryClient, view: string | undefined, position: number): Schema["AccountView"] | undefined {
	if (!view) return undefined;
	const page = queries.getQueryData<Schema["AccountPage"]>(windowKey(view, Math.floor(position / WINDOW)));
	return page?.items[position % WINDOW];
}
