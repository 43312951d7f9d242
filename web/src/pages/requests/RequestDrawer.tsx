// One request: the cause in one sentence, the timeline, every attempt, and why this account.
import { useQuery as useData } from "@tanstack/react-query";
import { useEffect } from "react";
import { Link } from "wouter";
import { api } from "../../api/client";
import { number, t, tCode } from "../../i18n";
import { Copy } from "../../ui/Copy";
import { Panel } from "../../ui/Panel";
import { bytes, duration, Facts, Failed, Skeleton, Tabs } from "../../ui/parts";
import { useQuery } from "../../ui/query";
import { absolute } from "../../ui/Time";
import { reasonWord } from "../accounts/state";
import { nameOf, OutcomePill, type RequestDetail, receiptWord, summaryOf } from "./words";

type Tab = "timeline" | "attempts" | "routing" | "request";

export function RequestDrawer({ id, onClose, onStep }: { id: string; onClose: () => void; onStep: (by: number) => void }) {
	const [query, setQuery] = useQuery();
	const tab = (query.get("tab") as Tab) ?? "timeline";
	const request = useData({
		queryKey: ["request", id],
		queryFn: () =>
			api.get("/admin/api/v1/requests/{id}", { params: { path: { id } } }) as Promise<unknown> as Promise<RequestDetail>,
	});
	const detail = request.data;
	useEffect(() => {
		const press = (event: KeyboardEvent) => {
			if (event.key === "j" || event.key === "k") onStep(event.key === "j" ? 1 : -1);
			const tabs: Tab[] = ["timeline", "attempts", "routing", "request"];
			const step = event.key === "]" ? 1 : event.key === "[" ? -1 : 0;
			if (step) setQuery({ tab: tabs[(tabs.indexOf(tab) + step + 4) % 4] as string }, "replace");
		};
		document.addEventListener("keydown", press, true);
		return () => document.removeEventListener("keydown", press, true);
	});
	return (
		<Panel
			wide
			onClose={onClose}
			title={detail ? `${detail.model ?? "–"} · ${absolute(detail.at)} · ${duration(detail.duration_ms)}` : t("shell.loading")}
			footer={
				detail && (
					<>
						<Copy text={curlOf(detail)}>{t("requests.copy_curl")}</Copy>
						<Copy text={`${location.origin}/admin/requests?open=${detail.id}`}>{t("requests.copy_link")}</Copy>
					</>
				)
			}
		>
			{request.isPending && <Skeleton />}
			{request.isError && <Failed error={request.error} retry={() => request.refetch()} />}
			{detail && (
				<>
					<p className={`mb-2 ${detail.outcome === "failed" ? "text-bad" : ""}`}>
						<OutcomePill row={detail} /> {summaryOf(detail)}
					</p>
					<p className="mb-3 flex flex-wrap items-center gap-x-3 text-xs text-ink-2">
						<span className="id flex items-center gap-1">
							{detail.request_id}
							<Copy text={detail.request_id} label={t("shell.copy_request_id")} />
						</span>
						{detail.key && (
							<span>
								{t("requests.key")} <Link href={`/keys?open=${detail.key.id}`}>{nameOf(detail.key)}</Link>
							</span>
						)}
						{detail.account && (
							<span>
								{t("requests.account")} <Link href={`/accounts/${detail.account.id}`}>{nameOf(detail.account)}</Link>
							</span>
						)}
						{detail.conversation_id && (
							<span>
								{t("requests.conversation")}{" "}
								<Link href={`/conversations/${detail.conversation_id}`}>{detail.conversation_id.slice(0, 13)}…</Link> (
								{receiptWord(detail.receipt)})
							</span>
						)}
					</p>
					<Tabs<Tab>
						label={t("requests.parts")}
						value={tab}
						onChange={(next) => setQuery({ tab: next === "timeline" ? null : next }, "replace")}
						tabs={[
							["timeline", t("requests.timeline")],
							["attempts", t("requests.attempts_n", { n: detail.attempt_count })],
							["routing", t("requests.routing")],
							["request", t("requests.request")],
						]}
					/>
					{tab === "timeline" && <Timeline detail={detail} />}
					{tab === "attempts" && <Attempts detail={detail} />}
					{tab === "routing" && <Routing detail={detail} />}
					{tab === "request" && (
						<Facts
							rows={[
								[t("requests.route"), detail.route],
								[t("requests.client"), detail.client ?? "–"],
								[t("requests.user_agent"), detail.user_agent ?? "–"],
								[t("requests.ip"), detail.ip ?? "–"],
								[t("requests.stream"), detail.stream ? t("shell.yes") : t("shell.no")],
								[t("requests.mode"), detail.mode ?? "–"],
								[
									t("requests.tokens"),
									`${number(detail.prompt_tokens ?? 0)} → ${number(detail.completion_tokens ?? 0)}${detail.reasoning_tokens ? ` (+${number(detail.reasoning_tokens)})` : ""} ${detail.tokens_source === "estimated" ? "≈" : ""}`,
								],
								[t("requests.bytes"), bytes(detail.bytes)],
							]}
						/>
					)}
				</>
			)}
		</Panel>
	);
}

const colours: Record<string, string> = {
	first_byte: "bg-warn",
	first_token: "bg-warn",
	stream: "bg-accent",
	share: "bg-info",
	clone: "bg-info",
};

function Timeline({ detail }: { detail: RequestDetail }) {
	const total = Math.max(1, detail.duration_ms);
	return (
		<>
			<p className="mb-2 text-xs text-ink-2">{t("requests.overhead", { ms: duration(detail.overhead_ms) })}</p>
			<div className="grid grid-cols-[minmax(96px,auto)_minmax(0,1fr)_auto_auto] items-center gap-x-3 gap-y-1">
				{detail.timeline.map((phase, index) => (
					<div key={index} className="contents">
						<span className="truncate">
							{phase.attempt && detail.attempt_count > 1 ? <span className="text-ink-3">{phase.attempt}· </span> : null}
							{tCode(`requests.phase_${phase.phase}`, phase.phase)}
						</span>
						<span className="relative h-3 rounded-pill bg-sunken">
							<span
								className={`absolute inset-y-0 min-w-0.5 rounded-pill ${colours[phase.phase] ?? "bg-control"}`}
								style={{
									left: `${Math.min(99.5, (phase.start_ms / total) * 100)}%`,
									width: `${(phase.duration_ms / total) * 100}%`,
								}}
							/>
						</span>
						<span className="text-right text-xs text-ink-3 tabular-nums">{number(phase.start_ms)}</span>
						<span className="text-right text-xs tabular-nums">{duration(phase.duration_ms)}</span>
					</div>
				))}
			</div>
		</>
	);
}

function Attempts({ detail }: { detail: RequestDetail }) {
	if (!detail.attempts.length) return <p className="text-ink-3">{t("requests.no_attempts")}</p>;
	return (
		<ol className="flex flex-col gap-3">
			{detail.attempts.map((attempt) => (
				<li key={attempt.number} className="rounded-block border border-line p-3">
					<div className="mb-1 flex flex-wrap items-center gap-2">
						<strong>{t("requests.attempt_n", { n: attempt.number })}</strong>
						{attempt.account && <Link href={`/accounts/${attempt.account.id}`}>{nameOf(attempt.account)}</Link>}
						<span className={attempt.outcome === "ok" ? "text-ok" : "text-bad"}>
							{tCode(`requests.verdict_${attempt.outcome}`, attempt.outcome)}
						</span>
						{attempt.status && <span className="text-ink-3">{attempt.status}</span>}
						<span className="ml-auto text-xs text-ink-3 tabular-nums">{duration(attempt.ended_ms - attempt.started_ms)}</span>
					</div>
					{attempt.message && <p className="mb-1 break-words text-ink-2">{attempt.message}</p>}
					<p className="text-xs text-ink-2">
						{attempt.penalty ? t("requests.penalty", { what: reasonWord(attempt.penalty) }) : t("requests.no_penalty")} ·{" "}
						{attempt.transport ?? "–"}
						{attempt.transport_left && ` (${attempt.transport_left})`}
						{attempt.first_token_ms !== null &&
							` · ${t("requests.first_token")} ${duration(attempt.first_token_ms - attempt.started_ms)}`}
					</p>
				</li>
			))}
		</ol>
	);
}

function Routing({ detail }: { detail: RequestDetail }) {
	const routing = detail.routing;
	if (!routing) return <p className="text-ink-3">{t("requests.no_routing")}</p>;
	return (
		<>
			<Facts
				rows={[
					[t("requests.recognised"), tCode(`requests.recognised_${routing.recognised}`, routing.recognised)],
					[t("requests.receipt"), receiptWord(detail.receipt)],
					[
						t("requests.why"),
						routing.receipt_reason ? tCode(`requests.why_${routing.receipt_reason}`, routing.receipt_reason) : "–",
					],
					[t("requests.owner"), nameOf(routing.owner)],
					[t("requests.owner_skipped"), routing.owner_skipped ? reasonWord(routing.owner_skipped) : "–"],
					[t("requests.rule"), routing.rule ? tCode(`requests.rule_${routing.rule}`, routing.rule) : "–"],
					[
						t("requests.candidates"),
						routing.accounts === null ? "–" : `${number(routing.accounts)} → ${number(routing.ready ?? 0)}`,
					],
				]}
			/>
			{routing.skipped && (
				<ul className="mt-3 flex flex-wrap gap-x-4">
					{Object.entries(routing.skipped).map(([reason, count]) => (
						<li key={reason}>
							{reasonWord(reason)} <strong className="tabular-nums">{number(count)}</strong>
						</li>
					))}
				</ul>
			)}
		</>
	);
}

function curlOf(detail: RequestDetail): string {
	const body = { model: detail.model, stream: detail.stream, messages: [{ role: "user", content: "…" }] };
	return `curl "${location.origin}${detail.route}" -H "Authorization: Bearer $API_KEY" -H "Content-Type: application/json" -d '${JSON.stringify(body)}'`;
}
