// The part of the address that says how a page is looked at. Defaults are left out of it.
import { useLocation, useSearch } from "wouter";

export function useQuery(): [URLSearchParams, (change: Record<string, string | null>, how?: "push" | "replace") => void] {
	const search = useSearch();
	const [, navigate] = useLocation();
	const query = new URLSearchParams(search);
	const set = (change: Record<string, string | null>, how: "push" | "replace" = "push") => {
		const next = new URLSearchParams(location.search);
		for (const [name, value] of Object.entries(change)) {
			if (value === null || value === "") next.delete(name);
			else next.set(name, value);
		}
		const text = next.toString().replaceAll("%2C", ",");
		navigate(`${location.pathname.replace(/^\/admin/, "") || "/"}${text ? `?${text}` : ""}`, { replace: how === "replace" });
	};
	return [query, set];
}
