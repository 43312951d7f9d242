// What is done to accounts: to one at once, to many by a job.
import { api, type Schema } from "../../api/client";
import { t, tCode } from "../../i18n";
import { toast, toastError } from "../../ui/toasts";

/** Which accounts are meant. */
export type Scope =
	| { ids: string[] }
	| { view: string; except: string[] }
	| { job: string; outcome?: string }
	| { filter: Record<string, string> };

const own = new Set<string>();

/** Whether a job was started in this tab. */
export const isOwnJob = (id: string) => own.has(id);

export async function startJob(
	kind: string,
	scope: Scope | undefined,
	options: Record<string, unknown> = {},
	more: Record<string, unknown> = {},
) {
	const job = (await api.post("/admin/api/v1/jobs", {
		body: { kind, ...(scope ? { scope } : {}), options, ...more } as never,
	})) as Schema["JobView"];
	own.add(job.id);
	return job;
}

/** Starts a job and says so; `undo` is offered where it can be undone. */
export async function runJob(
	navigate: (path: string) => void,
	kind: string,
	scope: Scope,
	options: Record<string, unknown> = {},
	undo?: { kind: string; options: Record<string, unknown> },
) {
	try {
		const job = await startJob(kind, scope, options);
		toast(
			t("jobs.started"),
			undo
				? { label: t("shell.undo"), run: () => void runJob(navigate, undo.kind, { job: job.id }, undo.options) }
				: { label: t("shell.show"), run: () => navigate(`/jobs/${job.id}`) },
		);
		return job;
	} catch (error) {
		toastError(error);
	}
}

/** Takes back a deletion: stops it if it still runs, then restores what it has deleted. */
export async function undoDeletion(navigate: (path: string) => void, id: string) {
	const path = { id, action: "cancel" as const };
	// One that has ended cannot be cancelled, and need not be.
	await api.post("/admin/api/v1/jobs/{id}/actions/{action}", { params: { path } }).catch(() => undefined);
	await api.get("/admin/api/v1/jobs/{id}", { params: { path: { id }, query: { wait: 30 } } }).catch(() => undefined);
	await runJob(navigate, "accounts.restore", { job: id });
}

/** Changes an account; `version`: only if nobody else has changed it since. */
export async function patchAccount(id: string, change: Record<string, unknown>, version?: number) {
	const headers: Record<string, string> = version === undefined ? {} : { "If-Match": `"${version}"` };
	try {
		return await api.patch("/admin/api/v1/accounts/{id}", { params: { path: { id } }, headers, body: change as never });
	} catch (error) {
		toastError(error);
	}
}

/** Reads an account's quota now and says what came of it; gives the account when it could be read. */
export async function checkQuota(id: string) {
	try {
		const checked = await api.post("/admin/api/v1/accounts/{id}/actions/check_quota", { params: { path: { id } } });
		const { failure } = checked;
		toast(
			failure
				? t("accounts.check_failed", { why: tCode(`requests.verdict_${failure.code}`, failure.message) })
				: t("accounts.checked"),
		);
		return failure ? undefined : checked.account;
	} catch (error) {
		toastError(error);
	}
}

/** Gives an account another token; whether it was taken. */
export async function replaceToken(id: string, token: string) {
	try {
		await api.post("/admin/api/v1/accounts/{id}/actions/replace_token", {
			params: { path: { id } },
			body: { token, check: true },
		});
		toast(t("accounts.token_replaced"));
		return true;
	} catch (error) {
		toastError(error);
		return false;
	}
}

export async function clearCooldown(id: string) {
	try {
		const account = await api.post("/admin/api/v1/accounts/{id}/actions/clear_cooldown", { params: { path: { id } } });
		toast(t("accounts.cleared"));
		return account;
	} catch (error) {
		toastError(error);
	}
}
