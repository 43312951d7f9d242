// Is it working, how much is left, what needs me? And, while there is no account, the way to the first answer.
import { useQuery as useData } from "@tanstack/react-query";
import { Link } from "wouter";
import { api } from "../../api/client";
import { useAttention, useNow, useSummary } from "../../api/queries";
import { target } from "../../app/targets";
import { number, t } from "../../i18n";
import { attentionWords } from "../../ui/database";
import { Icon } from "../../ui/icons";
import { Bar, duration, Failed, firstToken, Head, Skeleton } from "../../ui/parts";
import { useQuery } from "../../ui/query";
import { clock, length } from "../../ui/Time";
import { STATES, stateWord } from "../accounts/state";
import { nameOf, OutcomePill, type RequestRow } from "../requests/words";
import { Chart, useSeries } from "./Chart";
import { FirstRun } from "./FirstRun";

const RANGES = ["1h", "24h", "7d", "30d"];

export default function Overview() {
	const summary = useSummary();
	const [query, setQuery] = useQuery();
	const range = query.get("range") ?? "24h";
	if (summary.data?.total === 0 || query.get("start") === "1") return <FirstRun />;
	return (
		<>
			<Head title={t("shell.overview")}>
				<div role="group" aria-label={t("requests.range")} className="flex gap-1">
					{RANGES.map((one) => (
						<button
							key={one}
							type="button"
							className="chip"
							aria-pressed={one === range}
							onClick={() => setQuery({ range: one === "24h" ? null : one })}
						>
							{one}
						</button>
					))}
				</div>
			</Head>
			<Strip />
			{/* Two columns that fill up by themselves; on a phone one, with what needs a person first. */}
			<div className="flex flex-col gap-3 lg:grid lg:grid-cols-[minmax(0,1.4fr)_minmax(0,1fr)] lg:items-start">
				<div className="contents lg:flex lg:flex-col lg:gap-3">
					<Capacity />
					<Traffic range={range} />
					<Latency range={range} />
				</div>
				<div className="contents lg:flex lg:flex-col lg:gap-3">
					<Attention />
					<AccountBar />
					<Live />
				</div>
			</div>
		</>
	);
}

/** A line of 60 points, from 0. */
function Sparkline({ points }: { points: (number | null)[] }) {
	const top = Math.max(1, ...points.map((point) => point ?? 0));
	const path = points
		.map((point, index) =>
			point === null
				? ""
				: `${index && points[index - 1] !== null ? "L" : "M"}${(index / Math.max(1, points.length - 1)) * 100},${24 - (point / top) * 22}`,
		)
		.join("");
	return (
		<svg viewBox="0 0 100 24" preserveAspectRatio="none" className="h-6 w-full" aria-hidden="true">
			<path d={path} fill="none" stroke="var(--accent)" strokeWidth="1.5" vectorEffect="non-scaling-stroke" />
		</svg>
	);
}

function Strip() {
	const now = useNow();
	if (!now.data) return <div className="box mb-3 h-24" />;
	const { minutes } = now.data;
	const item = (words: string, value: string, points: (number | null)[] | undefined, href: string) => (
		<Link
			href={href}
			className="min-w-36 flex-1 border-r border-line px-4 py-2.5 text-ink no-underline last:border-0 hover:bg-bg"
		>
			<span className="block text-xs whitespace-nowrap text-ink-2">{words}</span>
			<span className="block text-xl font-semibold tabular-nums">{value}</span>
			{points ? <Sparkline points={points} /> : <span className="block h-6" />}
		</Link>
	);
	const rate = now.data.success_rate_15m;
	return (
		<div className="box mb-3 flex overflow-x-auto">
			{item(
				t("overview.per_minute"),
				now.data.requests_per_min === null ? "–" : number(now.data.requests_per_min ?? 0, { maximumFractionDigits: 1 }),
				minutes.requests,
				"/requests?range=1h",
			)}
			{item(t("overview.in_flight"), number(now.data.in_flight), undefined, "/requests?range=1h")}
			{item(
				t("overview.success"),
				rate === null || rate === undefined ? "–" : number(rate, { style: "percent", maximumFractionDigits: 1 }),
				minutes.success_rate,
				"/requests?range=1h&outcome=failed",
			)}
			{item(
				t("overview.first_token"),
				now.data.first_token_p50_ms === null
					? "–"
					: `${firstToken(now.data.first_token_p50_ms)} / ${firstToken(now.data.first_token_p95_ms)}`,
				minutes.first_token_p95_ms,
				"/stats",
			)}
			{item(
				t("overview.tokens_per_s"),
				now.data.tokens_per_s == null ? "–" : number(now.data.tokens_per_s, { maximumFractionDigits: 0 }),
				minutes.completion_tokens,
				"/stats",
			)}
		</div>
	);
}

type Mode = {
	mode: string;
	ready_accounts: number;
	remaining: number | null;
	total: number | null;
	accounts: { measured: number; derived: number; unknown: number };
	pace: { sufficient: boolean; lasts_s: number | null; exhausted_at: string | null };
	recoveries: { at: string; amount: number }[];
};

function Capacity() {
	const capacity = useData({
		queryKey: ["stats", "capacity"],
		queryFn: () => api.get("/admin/api/v1/stats/capacity") as Promise<unknown> as Promise<{ modes: Mode[] }>,
		refetchInterval: () => (document.hidden ? false : 30_000),
	});
	return (
		<section className="box p-4" aria-labelledby="capacity">
			<h2 id="capacity" className="mb-2 text-base font-semibold">
				{t("overview.capacity")}
			</h2>
			{capacity.isPending && <Skeleton rows={3} />}
			{capacity.isError && <Failed error={capacity.error} retry={() => capacity.refetch()} />}
			{capacity.data?.modes.map((mode) => (
				<div key={mode.mode} className="mb-2.5">
					<div className="flex items-baseline gap-3">
						<span className="w-16">{mode.mode}</span>
						<span className="text-xs text-ink-3">{t("overview.ready", { n: mode.ready_accounts })}</span>
						<span className="ml-auto tabular-nums">
							{mode.remaining === null ? t("accounts.unknown") : `${number(mode.remaining)} / ${number(mode.total ?? 0)}`}
						</span>
					</div>
					<Bar share={mode.remaining === null ? null : mode.total ? mode.remaining / mode.total : 0} label={mode.mode} />
					<p className="mt-0.5 text-xs text-ink-3">
						{mode.pace.exhausted_at
							? t("overview.pace_ends", { at: clock(mode.pace.exhausted_at) })
							: mode.pace.lasts_s
								? t("overview.pace_lasts", { length: length(mode.pace.lasts_s * 1_000) })
								: mode.pace.sufficient
									? t("overview.pace_more")
									: t("overview.pace_unknown")}
						{mode.recoveries.slice(0, 3).map((one) => (
							<span key={one.at}>
								{" · "}
								{clock(one.at).slice(0, 5)} +{number(one.amount)}
							</span>
						))}
					</p>
				</div>
			))}
		</section>
	);
}

function Attention() {
	const attention = useAttention();
	const items = attention.data?.items ?? [];
	const icons: Record<string, [string, string]> = {
		error: ["invalid", "text-bad"],
		warning: ["warning", "text-warn"],
		info: ["partial", "text-info"],
	};
	return (
		<section className="box p-4 max-lg:-order-1" aria-labelledby="attention">
			<h2 id="attention" className="mb-2 text-base font-semibold">
				{t("overview.attention")}
			</h2>
			{attention.isError && <Failed error={attention.error} retry={() => attention.refetch()} />}
			{attention.data && !items.length && <p className="text-ink-2">{t("overview.nothing")}</p>}
			<ul>
				{items.slice(0, 6).map((item) => {
					const [icon, colour] = icons[item.severity] ?? ["partial", "text-info"];
					return (
						<li key={item.code} className="flex items-start gap-2 py-1.5">
							<Icon name={icon} className={`mt-0.5 ${colour}`} />
							<span className="min-w-0 flex-1">{attentionWords(item)}</span>
							{item.target && <Link href={target(item.target)}>{t("shell.show")}</Link>}
						</li>
					);
				})}
			</ul>
		</section>
	);
}

const segments: Record<string, string> = {
	available: "bg-ok",
	exhausted: "bar-stripes",
	cooling: "bg-warn",
	probation: "bg-info",
	invalid: "bg-bad",
	disabled: "bg-control",
};

function AccountBar() {
	const summary = useSummary().data;
	if (!summary) return <section className="box h-24" />;
	return (
		<section className="box p-4" aria-labelledby="account-states">
			<h2 id="account-states" className="mb-2 text-base font-semibold">
				{t("shell.accounts")} <span className="font-normal text-ink-3 tabular-nums">{number(summary.total)}</span>
			</h2>
			<div className="mb-2 flex h-3 overflow-hidden rounded-pill bg-sunken" aria-hidden="true">
				{STATES.map((name) => (
					<div
						key={name}
						className={segments[name]}
						style={{ width: `${((summary.states[name] ?? 0) / Math.max(1, summary.total)) * 100}%` }}
					/>
				))}
			</div>
			<ul className="flex flex-wrap gap-x-5 gap-y-1">
				{STATES.map((name) => (
					<li key={name}>
						<Link href={`/accounts?state=${name}`} className="flex items-center gap-1 text-ink no-underline hover:underline">
							<Icon name={name} className="size-3.5 text-ink-2" />
							{stateWord(name)} <strong className="tabular-nums">{number(summary.states[name] ?? 0)}</strong>
						</Link>
					</li>
				))}
			</ul>
		</section>
	);
}

function Live() {
	const list = useData({
		queryKey: ["requests", "live"],
		queryFn: () =>
			api.get("/admin/api/v1/requests", { params: { query: { limit: 8 } } }) as Promise<unknown> as Promise<{
				items: RequestRow[];
			}>,
		refetchInterval: () => (document.hidden ? false : 3_000),
	});
	return (
		<section className="box overflow-hidden p-4" aria-labelledby="live">
			<h2 id="live" className="mb-2 text-base font-semibold">
				{t("overview.live")}
			</h2>
			{list.data?.items.length === 0 && <p className="text-ink-3">{t("requests.none")}</p>}
			<ul>
				{list.data?.items.map((row) => (
					<li key={row.id}>
						<Link
							href={`/requests?open=${row.id}`}
							className="flex h-7 items-center gap-2 rounded-control text-ink no-underline hover:bg-bg"
						>
							<span className="text-xs text-ink-3 tabular-nums">{clock(row.at)}</span>
							<OutcomePill row={row} />
							<span className="truncate">{row.model}</span>
							<span className="truncate text-ink-2">{nameOf(row.key)}</span>
							<span className="ml-auto text-xs tabular-nums">{duration(row.duration_ms)}</span>
						</Link>
					</li>
				))}
			</ul>
		</section>
	);
}

function Traffic({ range }: { range: string }) {
	const series = useSeries(range, ["succeeded", "failed", "cancelled"]);
	return (
		<section className="box p-4" aria-labelledby="traffic">
			<h2 id="traffic" className="mb-2 text-base font-semibold">
				{t("overview.traffic")}
			</h2>
			<Chart
				kind="stack"
				data={series.data}
				names={[t("overview.succeeded"), t("overview.failed"), t("overview.cancelled")]}
				error={series.error}
			/>
		</section>
	);
}

function Latency({ range }: { range: string }) {
	const series = useSeries(range, ["first_token_p50_ms", "first_token_p95_ms"]);
	return (
		<section className="box p-4" aria-labelledby="latency">
			<h2 id="latency" className="mb-2 text-base font-semibold">
				{t("overview.latency")}
			</h2>
			<Chart kind="lines" data={series.data} names={["p50", "p95"]} unit="ms" error={series.error} />
		</section>
	);
}
