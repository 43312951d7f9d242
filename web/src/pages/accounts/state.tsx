// How an account's state, reason and quota are shown, wherever accounts are.
import type { Schema } from "../../api/client";
import { number, t, tCode } from "../../i18n";
import { Pill, type Tone } from "../../ui/Pill";
import { Bar } from "../../ui/parts";
import { Ago, absolute, Left } from "../../ui/Time";

export type Account = Schema["AccountView"];

export const STATES = ["available", "exhausted", "cooling", "probation", "invalid", "disabled"] as const;
export type StateName = (typeof STATES)[number];

export const tones: Record<string, Tone> = {
	available: "ok",
	exhausted: "idle",
	cooling: "warn",
	probation: "info",
	invalid: "bad",
	disabled: "idle",
};

export function stateWord(name: string): string {
	return tCode(`accounts.state_${name}`, name);
}

export function reasonWord(code: string | null | undefined): string {
	return code ? tCode(`accounts.reason_${code}`, code) : "";
}

/** The state with the time that is left, or since when. */
export function StatePill({ account }: { account: Account }) {
	const { state } = account;
	const partly = state.name === "available" && account.rests.length > 0;
	const detail = state.until ? <Left until={state.until} /> : null;
	const reason = reasonWord(state.reason?.code);
	const hint = [
		reason,
		state.until && t("accounts.until", { at: absolute(state.until) }),
		state.since && t("accounts.since", { at: absolute(state.since) }),
	];
	return (
		<Pill tone={tones[state.name] ?? "idle"} icon={partly ? "partial" : state.name} title={hint.filter(Boolean).join(" · ")}>
			{stateWord(state.name)}
			{detail && <span className="font-normal">{detail}</span>}
			{state.name === "invalid" && reason && <span className="font-normal">· {reason}</span>}
			{partly && <span className="font-normal">· {t("accounts.modes_resting", { n: account.rests.length })}</span>}
		</Pill>
	);
}

const MODES: Record<string, string> = { auto: "Auto", fast: "Fast", expert: "Expert", heavy: "Heavy" };

/** A figure with room for four digits. */
const short = (value: number) => number(value, value < 10_000 ? undefined : { notation: "compact", maximumFractionDigits: 0 });

/** One thin bar per mode. */
export function Quotas({ account, narrow }: { account: Account; narrow?: boolean }) {
	if (!account.quota.length) return <span className="text-ink-3">{t("accounts.quota_unknown")}</span>;
	return (
		<div className={`flex ${narrow ? "gap-2" : "gap-3"}`}>
			{account.quota.slice(0, 4).map((quota) => {
				const known = quota.remaining != null && quota.total != null;
				const share = known ? ((quota.total as number) > 0 ? (quota.remaining as number) / (quota.total as number) : 0) : null;
				const words = known ? `${short(quota.remaining as number)}/${short(quota.total as number)}` : t("accounts.unknown");
				return (
					<div key={quota.mode} className={`min-w-0 ${narrow ? "flex-1" : "w-24"}`} title={quotaTitle(quota)}>
						<div className="flex justify-between gap-1 text-xs leading-4 whitespace-nowrap text-ink-2 tabular-nums">
							<span>{MODES[quota.mode] ?? quota.mode}</span>
							<span>
								{quota.source === "derived" && "≈"}
								{share === 0 ? t("accounts.used_up") : narrow && known ? short(quota.remaining as number) : words}
							</span>
						</div>
						<Bar share={share} tone={share !== null && share < 0.2 ? "warn" : "accent"} label={`${quota.mode} ${words}`} />
					</div>
				);
			})}
		</div>
	);
}

export function quotaTitle(quota: Schema["QuotaView"]): string {
	const parts = [tCode(`accounts.source_${quota.source}`, quota.source)];
	if (quota.measured_at) parts.push(t("accounts.read_at", { at: absolute(quota.measured_at) }));
	if (quota.resets_at) parts.push(t("accounts.resets_at", { at: absolute(quota.resets_at) }));
	return parts.join(" · ");
}

export function Fingerprint({ account }: { account: { fingerprint: string } }) {
	return (
		<span className="id" title={account.fingerprint}>
			{account.fingerprint.slice(0, 6)}
		</span>
	);
}

export function LastUsed({ account }: { account: Account }) {
	return <Ago at={account.last_used_at} empty={t("accounts.never_used")} />;
}
