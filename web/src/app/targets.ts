/** Where the console shows what a route of the API lists. */
export function target(route: string | null | undefined): string {
	if (!route) return "/";
	if (route.startsWith("/system")) return "/system";
	// They have no page of their own.
	if (route.startsWith("/requests/rejected")) return "/requests";
	return route;
}
