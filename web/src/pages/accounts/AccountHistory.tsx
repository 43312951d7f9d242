// What became of an account, newest first: rests, ends of them, and what people did.
import { useQuery as useData } from "@tanstack/react-query";
import { useState } from "react";
import { Link } from "wouter";
import { api, type Schema, serverNow } from "../../api/client";
import { t, tCode } from "../../i18n";
import { Pill, type Tone } from "../../ui/Pill";
import { Empty, Failed, Skeleton } from "../../ui/parts";
import { Ago, absolute, length } from "../../ui/Time";
import { Change } from "../system/AuditTable";
import { reasonWord } from "./state";

type Line = Schema["HistoryLine"];

const WEEK = 7 * 24 * 3_600_000;

const marks: Record<string, [Tone, string]> = {
	rest_began: ["warn", "cooling"],
	rest_changed: ["warn", "cooling"],
	rest_ended: ["ok", "available"],
	invalid: ["bad", "invalid"],
	valid_again: ["ok", "available"],
	enabled: ["ok", "available"],
	disabled: ["idle", "disabled"],
	added: ["info", "plus"],
	restored: ["info", "plus"],
	edited: ["info", "settings"],
	deleted: ["idle", "close"],
};

export function AccountHistory({ id, createdAt }: { id: string; createdAt: string }) {
	const [before, setBefore] = useState<string[]>([]);
	const history = useData({
		queryKey: ["account_history", id, before.at(-1) ?? ""],
		queryFn: () =>
			api.get("/admin/api/v1/accounts/{id}/history", {
				params: { path: { id }, query: { limit: 100, ...(before.length ? { before: before.at(-1) } : {}) } },
			}),
	});
	if (history.isPending) return <Skeleton />;
	if (history.isError) return <Failed error={history.error} retry={() => history.refetch()} />;
	const { items, next } = history.data;
	return (
		<>
			{before.length === 0 && <Week lines={items} createdAt={createdAt} />}
			{items.length ? <Lines lines={items} /> : <Empty title={t("accounts.no_history")} />}
			<div className="flex gap-2">
				{before.length > 0 && (
					<button type="button" className="btn" data-repeat onClick={() => setBefore(before.slice(0, -1))}>
						{t("system.newer")}
					</button>
				)}
				{next && (
					<button type="button" className="btn" data-repeat onClick={() => setBefore([...before, next])}>
						{t("system.older")}
					</button>
				)}
			</div>
		</>
	);
}

function Lines({ lines }: { lines: Line[] }) {
	return (
		<div className="box mb-3 overflow-x-auto">
			<table className="w-full min-w-[640px]">
				<thead>
					<tr className="border-b border-line bg-bg text-left text-xs text-ink-2">
						<th className="h-8 px-3 font-semibold">{t("requests.time")}</th>
						<th className="px-3 font-semibold">{t("accounts.happened")}</th>
						<th className="px-3 font-semibold">{t("accounts.why")}</th>
						<th className="px-3 font-semibold">{t("accounts.by")}</th>
					</tr>
				</thead>
				<tbody>
					{lines.map((line) => {
						const [tone, icon] = marks[line.kind] ?? ["info", "info"];
						return (
							<tr key={line.id} className="border-b border-line align-top last:border-0">
								<td className="px-3 py-1.5 whitespace-nowrap">
									<Ago at={line.at} />
								</td>
								<td className="px-3 py-1.5 whitespace-nowrap">
									{line.action ? (
										tCode(`system.did_${line.action}`, line.action)
									) : (
										<Pill tone={tone} icon={icon}>
											{line.mode && `${line.mode} · `}
											{tCode(`accounts.history_${line.kind}`, line.kind)}
										</Pill>
									)}
								</td>
								<td className="max-w-md px-3 py-1.5">{line.action ? <Change of={line} /> : <Why line={line} />}</td>
								<td className="px-3 py-1.5 whitespace-nowrap">
									{line.actor ?? tCode(`accounts.cause_${line.cause}`, line.cause)}
									{line.request_id && (
										<>
											{" · "}
											<Link href={`/requests?open=${line.request_id}`}>{t("accounts.caused_by")}</Link>
										</>
									)}
								</td>
							</tr>
						);
					})}
				</tbody>
			</table>
		</div>
	);
}

function Why({ line }: { line: Line }) {
	const rests = line.kind === "rest_began" || line.kind === "rest_changed";
	return (
		<>
			{reasonWord(line.reason)}
			{rests && line.until && (
				<span className="text-ink-2">
					{" → "}
					{length(Date.parse(line.until) - Date.parse(line.at))} · {t("accounts.until", { at: absolute(line.until) })}
				</span>
			)}
		</>
	);
}

type Span = { from: number; to: number; dead: boolean; words: string };

/** When it could not serve in the last seven days, or since it was added. */
function Week({ lines, createdAt }: { lines: Line[]; createdAt: string }) {
	const now = serverNow();
	const start = Math.max(now - WEEK, Math.min(Date.parse(createdAt), now - 60_000));
	const whole = now - start;
	const span = length(whole);
	const spans = spansOf(lines, start, now);
	const out = spans.reduce((sum, one) => sum + one.to - one.from, 0);
	const words = spans.length
		? t("accounts.week", { n: spans.length, length: length(out), span })
		: t("accounts.week_none", { span });
	return (
		<figure className="box mb-3 p-3">
			<figcaption className="mb-1.5 text-xs text-ink-2">{words}</figcaption>
			<div className="relative h-4 overflow-hidden rounded bg-ok-soft" role="img" aria-label={words}>
				{spans.map((one) => (
					<div
						key={`${one.from}${one.words}`}
						className={`absolute inset-y-0 ${one.dead ? "bg-bad" : "bg-warn"}`}
						style={{
							left: `min(${((one.from - start) / whole) * 100}%, 100% - 3px)`,
							width: `max(3px, ${((one.to - one.from) / whole) * 100}%)`,
						}}
						title={one.words}
					/>
				))}
			</div>
			<div aria-hidden="true" className="mt-0.5 flex justify-between text-xs text-ink-3">
				<span>{t("shell.ago", { length: span })}</span>
				<span>{t("shell.now")}</span>
			</div>
		</figure>
	);
}

/** Rests of the whole account and the time that its credential was dead, of the last seven days; `lines` are the newest. */
function spansOf(lines: Line[], start: number, now: number): Span[] {
	const spans: Span[] = [];
	let open: Span | null = null;
	for (const line of [...lines].reverse()) {
		const at = Date.parse(line.at);
		const begins = (line.kind === "rest_began" && !line.mode) || line.kind === "invalid";
		// The upstream has told that only one mode rests: the account as a whole serves again.
		const ends =
			line.kind === "valid_again" || (line.kind === "rest_ended" && !line.mode) || (line.kind === "rest_changed" && line.mode);
		if (begins) {
			if (open) spans.push({ ...open, to: Math.min(open.to, at) });
			const words = `${reasonWord(line.reason)} · ${absolute(line.at)}`;
			open = { from: at, to: line.until ? Date.parse(line.until) : now, dead: line.kind === "invalid", words };
		} else if (open && ends) {
			spans.push({ ...open, to: Math.min(open.to, at) });
			open = null;
		} else if (open && line.kind === "rest_changed" && line.until) open.to = Date.parse(line.until);
	}
	if (open) spans.push(open);
	return spans
		.map((span) => ({ ...span, from: Math.max(span.from, start), to: Math.min(span.to, now) }))
		.filter((span) => span.to > span.from);
}
