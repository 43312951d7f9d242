// Requests in words: how they ended, how the conversation went on, what a phase is.
import type { ReactNode } from "react";
import { number, t, tCode } from "../../i18n";
import { Pill, type Tone } from "../../ui/Pill";
import { duration } from "../../ui/parts";

export type Named = { id: string; label?: string; name?: string; fingerprint?: string } | null;

/** A row of the request log. */
export type RequestRow = {
	id: string;
	request_id: string;
	at: string;
	outcome: string;
	status: number;
	model: string | null;
	mode: string | null;
	key: Named;
	account: Named;
	client: string | null;
	conversation_id: string | null;
	receipt: string | null;
	transport: string | null;
	stream: boolean;
	attempt_count: number;
	queue_ms: number | null;
	first_byte_ms: number | null;
	first_token_ms: number | null;
	duration_ms: number;
	prompt_tokens: number | null;
	completion_tokens: number | null;
	reasoning_tokens: number | null;
	ip: string | null;
	error: { code: string; message: string } | null;
};

export type Attempt = {
	number: number;
	account: Named;
	outcome: string;
	status: number | null;
	class: string | null;
	message: string | null;
	penalty: string | null;
	transport: string | null;
	transport_left: string | null;
	receipt: string | null;
	started_ms: number;
	bound_ms: number | null;
	first_byte_ms: number | null;
	first_token_ms: number | null;
	ended_ms: number;
	choice: { rule: string; accounts: number; ready: number; owner_skipped: string | null } | null;
};

export type RequestDetail = RequestRow & {
	cause: { code?: string; message?: string; params?: Record<string, unknown> } | string | null;
	attempts: Attempt[];
	timeline: { phase: string; attempt: number | null; start_ms: number; duration_ms: number }[];
	overhead_ms: number;
	user_agent: string | null;
	route: string;
	bytes: number;
	tokens_source: string | null;
	routing: {
		recognised: string;
		receipt_reason: string | null;
		owner: Named | string;
		owner_skipped: string | null;
		accounts: number | null;
		ready: number | null;
		rule: string | null;
		skipped: Record<string, number> | null;
	} | null;
};

const tones: Record<string, Tone> = { succeeded: "ok", failed: "bad", cancelled: "idle", running: "info" };
const icons: Record<string, string> = { succeeded: "available", failed: "invalid", cancelled: "disabled", running: "job" };

export function OutcomePill({ row }: { row: { outcome: string; status: number } }): ReactNode {
	return (
		<Pill tone={tones[row.outcome] ?? "idle"} icon={icons[row.outcome]}>
			{row.outcome === "succeeded" ? row.status : `${row.status} ${tCode(`requests.outcome_${row.outcome}`, row.outcome)}`}
		</Pill>
	);
}

export function errorWord(code: string | null | undefined): string {
	return code ? tCode(`error.${code}`, code) : "";
}

export function receiptWord(receipt: string | null | undefined): string {
	return receipt ? tCode(`requests.receipt_${receipt}`, receipt) : "–";
}

export function nameOf(named: Named | string): string {
	if (!named) return "–";
	if (typeof named === "string") return named;
	return named.label ?? named.name ?? named.id;
}

export function causeOf(detail: RequestDetail): string | null {
	if (!detail.cause) return detail.error ? `${errorWord(detail.error.code)}: ${detail.error.message}` : null;
	if (typeof detail.cause === "string") return detail.cause;
	const { code, message } = detail.cause;
	const params = detail.cause.params ?? {};
	const outcomes = Object.entries((params.outcomes ?? {}) as Record<string, number>).map(
		([outcome, count]) => `${number(count)} × ${tCode(`requests.verdict_${outcome}`, outcome)}`,
	);
	const refused = (params.error_code as string) ?? detail.error?.code;
	if (code === "refused" && refused) {
		const word = errorWord(refused);
		return word === refused ? (message ?? word) : `${word} · ${message ?? ""}`;
	}
	return tCode(`requests.cause_${code}`, message ?? errorWord(code), {
		n: (params.attempts as number) ?? 0,
		after: duration((params.after_ms as number) ?? null),
		outcomes: outcomes.join(", "),
	});
}

export function summaryOf(detail: RequestDetail): string {
	return causeOf(detail) ?? t("requests.went_well", { account: nameOf(detail.account), receipt: receiptWord(detail.receipt) });
}
