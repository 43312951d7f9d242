// What several pages ask for.
import { useQuery } from "@tanstack/react-query";
import { api } from "./client";

export const useSummary = () =>
	useQuery({ queryKey: ["accounts", "summary"], queryFn: () => api.get("/admin/api/v1/accounts/summary") });

export const useAttention = () => useQuery({ queryKey: ["attention"], queryFn: () => api.get("/admin/api/v1/attention") });

export const useJobs = () =>
	useQuery({ queryKey: ["jobs"], queryFn: () => api.get("/admin/api/v1/jobs", { params: { query: { limit: 100 } } }) });

export const useSession = () =>
	useQuery({ queryKey: ["session"], queryFn: () => api.get("/admin/api/v1/session"), staleTime: 60_000 });

export const useModels = () => useQuery({ queryKey: ["models"], queryFn: () => api.get("/admin/api/v1/models") });

export const useSystem = () => useQuery({ queryKey: ["system"], queryFn: () => api.get("/admin/api/v1/system") });

/** The present minute and the last hour: figures that move whether or not anybody looks. */
export type Now = {
	in_flight: number;
	requests_per_min: number | null;
	success_rate_15m: number | null;
	first_token_p50_ms: number | null;
	first_token_p95_ms: number | null;
	tokens_per_s: number | null;
	minutes: Record<string, (number | null)[]>;
};

export const useNow = () =>
	useQuery({
		queryKey: ["stats", "now"],
		queryFn: () => api.get("/admin/api/v1/stats/now") as Promise<unknown> as Promise<Now>,
		refetchInterval: () => (document.hidden ? false : 5_000),
	});
