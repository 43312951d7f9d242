// What is known of one account: why it rests, what quota is left, the rest of its facts.
import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { Link } from "wouter";
import { number, t, tCode } from "../../i18n";
import { Copy } from "../../ui/Copy";
import { Bar, Facts } from "../../ui/parts";
import { Ago, absolute, Left } from "../../ui/Time";
import { toast } from "../../ui/toasts";
import { tierWord } from "./Accounts";
import { checkQuota, clearCooldown } from "./actions";
import { type Account, LastUsed, reasonWord, StatePill } from "./state";

/** The state with its cause, its length, its rule, and the button that ends it. */
export function StateExplained({ account }: { account: Account }) {
	const { state } = account;
	const rests = [
		...(state.name === "cooling" || state.name === "exhausted" || state.name === "invalid"
			? [
					{
						mode: null as string | null,
						reason: state.reason?.code ?? "",
						since: state.since,
						until: state.until,
						by: state.caused_by,
					},
				]
			: []),
		...account.rests.map((rest) => ({
			mode: rest.mode as string | null,
			reason: rest.reason,
			since: rest.since,
			until: rest.until,
			by: rest.caused_by,
		})),
	];
	return (
		<section aria-label={t("accounts.state")}>
			<StatePill account={account} />
			{rests.map((rest) => (
				<p key={`${rest.mode}${rest.reason}`} className="mt-2">
					{rest.mode && <strong>{rest.mode}: </strong>}
					{reasonWord(rest.reason)}
					{rest.since && <> · {t("accounts.since", { at: absolute(rest.since) })}</>}
					{rest.until && (
						<>
							{" "}
							· {t("accounts.until", { at: absolute(rest.until) })} (<Left until={rest.until} />)
						</>
					)}
					{rest.by && (
						<>
							{" "}
							· <Link href={`/requests?open=${rest.by}`}>{t("accounts.caused_by")}</Link>
						</>
					)}
				</p>
			))}
			{rests.length > 0 && (
				<p className="mt-2 flex flex-wrap gap-2">
					{state.name !== "invalid" && <CheckQuota id={account.id} label={t("accounts.check_and_clear")} clear />}
					<button type="button" className="btn" onClick={() => void clearCooldown(account.id)}>
						{state.name === "invalid" ? t("accounts.clear_invalid") : t("accounts.clear_at_once")}
					</button>
					{state.name === "invalid" && (
						<Link href={`/accounts/${account.id}?tab=settings`} className="btn no-underline">
							{t("accounts.new_token")}
						</Link>
					)}
				</p>
			)}
		</section>
	);
}

/** Asks the upstream what is left; `clear`: and ends the rest, unless a mode is still used up. */
export function CheckQuota({ id, label, clear }: { id: string; label?: string; clear?: boolean }) {
	const queries = useQueryClient();
	const [isBusy, setBusy] = useState(false);
	const check = async () => {
		setBusy(true);
		const account = await checkQuota(id);
		if (account) queries.setQueryData(["account", id], account);
		if (account && clear) {
			if (account.quota.some((quota) => quota.remaining === 0)) toast(t("accounts.still_empty"));
			else await clearCooldown(id);
		}
		setBusy(false);
	};
	return (
		<button type="button" className="btn" disabled={isBusy} onClick={() => void check()}>
			{isBusy ? t("accounts.checking") : (label ?? t("accounts.check_quota"))}
		</button>
	);
}

export function QuotaTable({ account }: { account: Account }) {
	if (!account.quota.length) return <p className="text-ink-3">{t("accounts.quota_unknown_long")}</p>;
	return (
		<div className="overflow-x-auto">
			<table className="w-full min-w-[480px]">
				<thead>
					<tr className="text-left text-xs text-ink-2">
						<th className="py-1 font-semibold">{t("accounts.mode")}</th>
						<th className="py-1 font-semibold">{t("accounts.left")}</th>
						<th className="py-1 font-semibold">{t("accounts.recovers")}</th>
						<th className="py-1 font-semibold">{t("accounts.source")}</th>
					</tr>
				</thead>
				<tbody>
					{account.quota.map((quota) => {
						const known = quota.remaining != null && quota.total != null;
						const share = known ? ((quota.total as number) ? (quota.remaining as number) / (quota.total as number) : 0) : null;
						return (
							<tr key={quota.mode} className="border-t border-line">
								<td className="py-1.5 pr-3">{quota.mode}</td>
								<td className="w-48 py-1.5 pr-3 tabular-nums">
									{known
										? `${quota.source === "derived" ? "≈" : ""}${number(quota.remaining as number)} / ${number(quota.total as number)}`
										: t("accounts.unknown")}
									<Bar share={share} tone={share !== null && share < 0.2 ? "warn" : "accent"} label={quota.mode} />
								</td>
								<td className="py-1.5 pr-3">{quota.resets_at ? <Left until={quota.resets_at} /> : "–"}</td>
								<td className="py-1.5 text-ink-2">
									{tCode(`accounts.source_${quota.source}`, quota.source)} <Ago at={quota.measured_at} />
								</td>
							</tr>
						);
					})}
				</tbody>
			</table>
		</div>
	);
}

export function AccountFacts({ account }: { account: Account }) {
	return (
		<Facts
			rows={[
				[
					t("accounts.fingerprint"),
					<span key="f" className="flex items-center gap-1">
						<span className="id">{account.fingerprint}</span>
						<Copy text={account.fingerprint} />
					</span>,
				],
				[
					t("accounts.id"),
					<span key="i" className="flex min-w-0 items-center gap-1">
						<span className="id truncate" title={account.id}>
							{account.id}
						</span>
						<Copy text={account.id} />
					</span>,
				],
				[t("accounts.tier"), tierWord(account.tier)],
				...(account.duplicate_of
					? [
							[
								t("accounts.duplicate"),
								<Link key="d" href={`/accounts/${account.duplicate_of}`}>
									{t("accounts.duplicate_of")}
								</Link>,
							] as [string, React.ReactNode],
						]
					: []),
				[t("accounts.tags"), account.tags.join(", ") || "–"],
				[t("accounts.in_flight"), number(account.in_flight)],
				[t("accounts.failures"), number(account.consecutive_failures)],
				[t("accounts.transport"), account.transport ?? "–"],
				[t("accounts.last_used"), <LastUsed key="l" account={account} />],
				[t("accounts.created"), <Ago key="c" at={account.created_at} />],
			]}
		/>
	);
}
