// Statistics: one chart, and a table of whatever is looked at, by which it can be sorted and exported.
import { keepPreviousData, useQuery as useData } from "@tanstack/react-query";
import { useState } from "react";
import { Link } from "wouter";
import { api } from "../../api/client";
import { saveCsv } from "../../api/download";
import { number, t, tCode } from "../../i18n";
import { Bar, Empty, Failed, firstToken, Head, Skeleton, Tabs } from "../../ui/parts";
import { useQuery } from "../../ui/query";
import { errorWord } from "../requests/words";
import { Chart, useSeries } from "./Chart";

type Row = {
	group: { id: string; name: string; other: boolean };
	requests: number;
	succeeded: number;
	failed: number;
	cancelled: number;
	prompt_tokens: number;
	completion_tokens: number;
	reasoning_tokens: number;
	first_token_p50_ms: number | null;
	first_token_p95_ms: number | null;
	duration_p50_ms: number | null;
	success_rate: number | null;
	tokens_per_s: number | null;
	share: number;
};

const BY = ["model", "key", "account", "error_code", "client"] as const;
const RANGES = ["1h", "24h", "7d", "30d", "90d"];
const FILTER: Record<string, string> = {
	model: "model",
	key: "key",
	account: "account",
	error_code: "error_code",
	client: "client",
};

export default function Stats() {
	const [query, setQuery] = useQuery();
	const range = query.get("range") ?? "7d";
	const by = (BY.find((one) => one === query.get("by")) ?? "model") as (typeof BY)[number];
	const traffic = useSeries(range, ["succeeded", "failed", "cancelled"]);
	const latency = useSeries(range, ["first_token_p50_ms", "first_token_p95_ms"]);
	const [sort, setSort] = useState<keyof Row>("requests");
	const top = useData({
		queryKey: ["stats", "top", by, range],
		queryFn: () =>
			api.get("/admin/api/v1/stats/top", { params: { query: { by, range, limit: 100 } } }) as Promise<unknown> as Promise<{
				items: Row[];
			}>,
		placeholderData: keepPreviousData,
	});
	const rows = [...(top.data?.items ?? [])].sort((left, right) => Number(right[sort] ?? -1) - Number(left[sort] ?? -1));
	const columns: [keyof Row, string, (row: Row) => string][] = [
		["requests", t("overview.requests"), (row) => number(row.requests)],
		[
			"success_rate",
			t("overview.success"),
			(row) => (row.success_rate === null ? "–" : number(row.success_rate, { style: "percent", maximumFractionDigits: 1 })),
		],
		["failed", t("overview.failed"), (row) => number(row.failed)],
		["prompt_tokens", t("overview.tokens_in"), (row) => number(row.prompt_tokens)],
		["completion_tokens", t("overview.tokens_out"), (row) => number(row.completion_tokens)],
		["first_token_p50_ms", t("overview.first_p50"), (row) => firstToken(row.first_token_p50_ms)],
		["first_token_p95_ms", t("overview.first_p95"), (row) => firstToken(row.first_token_p95_ms)],
		[
			"tokens_per_s",
			t("overview.tokens_per_s"),
			(row) => (row.tokens_per_s === null ? "–" : number(row.tokens_per_s, { maximumFractionDigits: 0 })),
		],
	];
	const csv = () => {
		const lines = rows.map((row) => [row.group.name, ...columns.map(([name]) => row[name])]);
		saveCsv(`${by}-${range}.csv`, [["name", ...columns.map(([name]) => name)], ...lines]);
	};
	return (
		<>
			<Head title={t("shell.stats")}>
				<div role="group" aria-label={t("requests.range")} className="flex gap-1">
					{RANGES.map((one) => (
						<button
							key={one}
							type="button"
							className="chip"
							aria-pressed={one === range}
							onClick={() => setQuery({ range: one === "7d" ? null : one })}
						>
							{one}
						</button>
					))}
				</div>
			</Head>
			<div className="mb-3 grid gap-3 lg:grid-cols-2">
				<section className="box p-4" aria-labelledby="s-traffic">
					<h2 id="s-traffic" className="mb-2 text-base font-semibold">
						{t("overview.traffic")}
					</h2>
					<Chart
						kind="stack"
						data={traffic.data}
						names={[t("overview.succeeded"), t("overview.failed"), t("overview.cancelled")]}
						error={traffic.error}
					/>
				</section>
				<section className="box p-4" aria-labelledby="s-latency">
					<h2 id="s-latency" className="mb-2 text-base font-semibold">
						{t("overview.latency")}
					</h2>
					<Chart kind="lines" data={latency.data} names={["p50", "p95"]} unit="ms" error={latency.error} />
				</section>
			</div>
			<div className="flex items-start gap-3">
				<div className="min-w-0 flex-1">
					<Tabs
						label={t("overview.by")}
						tabs={BY.map((one): [string, string] => [one, tCode(`requests.field_${one}`, one)])}
						value={by}
						onChange={(next) => setQuery({ by: next === "model" ? null : next }, "replace")}
					/>
				</div>
				<button type="button" className="btn" onClick={csv}>
					{t("overview.export_csv")}
				</button>
			</div>
			<div className="box overflow-x-auto">
				{top.isPending && <Skeleton />}
				{top.isError && <Failed error={top.error} retry={() => top.refetch()} />}
				{top.data && !rows.length && <Empty title={t("overview.no_data")} />}
				{rows.length > 0 && (
					<table className="w-full min-w-[860px]">
						<thead>
							<tr className="border-b border-line bg-bg text-xs text-ink-2">
								<th className="h-8 px-3 text-left font-semibold">{tCode(`requests.field_${by}`, by)}</th>
								<th className="w-32 px-3 text-left font-semibold">{t("overview.share")}</th>
								{columns.map(([name, words]) => (
									<th key={name} className="px-3 text-right font-semibold" aria-sort={sort === name ? "descending" : "none"}>
										<button type="button" className={sort === name ? "text-accent" : ""} onClick={() => setSort(name)}>
											{words}
										</button>
									</th>
								))}
							</tr>
						</thead>
						<tbody>
							{rows.map((row) => (
								<tr key={row.group.id} className="h-9 border-b border-line last:border-0 hover:bg-bg">
									<td className="max-w-64 truncate px-3">
										{row.group.other ? (
											t("overview.other")
										) : (
											<Link href={`/requests?${FILTER[by]}=${encodeURIComponent(row.group.id)}&range=${range}`}>
												{by === "error_code" ? errorWord(row.group.id) : row.group.name}
											</Link>
										)}
									</td>
									<td className="px-3">
										<Bar share={row.share} label={number(row.share, { style: "percent" })} />
									</td>
									{columns.map(([name, , show]) => (
										<td key={name} className="px-3 text-right tabular-nums">
											{show(row)}
										</td>
									))}
								</tr>
							))}
						</tbody>
					</table>
				)}
			</div>
		</>
	);
}
