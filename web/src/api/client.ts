// Calls of the admin API, typed by its OpenAPI document.
import createClient, { type Middleware } from "openapi-fetch";
import type { components, paths } from "./schema";

export type Schema = components["schemas"];

/** A failure as the API tells it. */
export class ApiError extends Error {
	constructor(
		readonly status: number,
		readonly code: string,
		message: string,
		readonly requestId: string | null,
		readonly fields: { path: string; code: string; message: string }[],
		readonly details: Record<string, unknown>,
	) {
		super(message);
	}
}

let serverOffset = 0;

/** Now, by the server's clock. */
export function serverNow(): number {
	return Date.now() + serverOffset;
}

const ended = new Set<() => void>();

/** Calls back when the session has ended. */
export function onSessionEnd(listener: () => void): () => void {
	ended.add(listener);
	return () => ended.delete(listener);
}

const ours: Middleware = {
	onRequest({ request }) {
		request.headers.set("X-Requested-With", "console");
		return request;
	},
	onResponse({ response }) {
		const date = response.headers.get("Date");
		// Whole seconds: half a second is the best guess of the rest.
		if (date) serverOffset = Date.parse(date) + 500 - Date.now();
		if (response.status === 401) for (const listener of ended) listener();
		return response;
	},
};

const client = createClient<paths>({ baseUrl: "", credentials: "same-origin" });
client.use(ours);

type Result = { data?: unknown; error?: unknown; response: Response };

async function checked<T extends Result>(call: Promise<T>): Promise<NonNullable<T["data"]>> {
	let result: T;
	try {
		result = await call;
	} catch {
		throw new ApiError(0, "unreachable", "the gateway does not answer", null, [], {});
	}
	if (result.response.ok) return result.data as NonNullable<T["data"]>;
	throw failure(result.response, result.error);
}

/** What a failed answer says. */
export function failure(response: Response, body: unknown): ApiError {
	const error = (body as { error?: Record<string, unknown> } | undefined)?.error ?? {};
	return new ApiError(
		response.status,
		String(error.code ?? `http_${response.status}`),
		String(error.message ?? response.statusText),
		(error.request_id as string) ?? response.headers.get("X-Request-ID"),
		(error.fields as ApiError["fields"]) ?? [],
		error,
	);
}

export const api = {
	get: ((path: never, init: never) => checked(client.GET(path, init) as Promise<Result>)) as unknown as Method<"get">,
	post: ((path: never, init: never) => checked(client.POST(path, init) as Promise<Result>)) as unknown as Method<"post">,
	put: ((path: never, init: never) => checked(client.PUT(path, init) as Promise<Result>)) as unknown as Method<"put">,
	patch: ((path: never, init: never) => checked(client.PATCH(path, init) as Promise<Result>)) as unknown as Method<"patch">,
	delete: ((path: never, init: never) => checked(client.DELETE(path, init) as Promise<Result>)) as unknown as Method<"delete">,
};

const BASE = "/admin/api/v1";
type Verb = "get" | "post" | "put" | "patch" | "delete";
type WithVerb<V extends Verb> = {
	[P in keyof paths]: paths[P] extends Record<V, infer O> ? (O extends undefined ? never : P) : never;
}[keyof paths];
type Operation<P extends keyof paths, V extends Verb> = paths[P] extends Record<V, infer O> ? O : never;
type Json<R> = R extends { content: { "application/json": infer B } } ? B : never;
type Answer<O> = O extends { responses: infer R } ? Json<R[Extract<keyof R, 200 | 201 | 202>]> : never;
type Init<O> = {
	params?: O extends { parameters: infer P } ? { [K in keyof P]?: K extends "query" ? Record<string, unknown> : P[K] } : never;
	body?: O extends { requestBody: { content: { "application/json": infer B } } } ? B : never;
	signal?: AbortSignal;
	headers?: Record<string, string>;
};
type Method<V extends Verb> = <P extends WithVerb<V>>(path: P, init?: Init<Operation<P, V>>) => Promise<Answer<Operation<P, V>>>;

export { BASE };
