// Charts over time on a canvas (uPlot), each with its table and its CSV. Success and failure differ by hue and by pattern.
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useEffect, useRef, useState, useSyncExternalStore } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { api } from "../../api/client";
import { saveCsv } from "../../api/download";
import { currentLanguage, number, t } from "../../i18n";
import { onTaste } from "../../taste";
import { Failed } from "../../ui/parts";
import { absolute } from "../../ui/Time";

export type Series = {
	buckets: string[];
	data_since: string | null;
	series: { metric: string; group?: { id: string; name: string } | null; values: (number | null)[]; total: number | null }[];
};

const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;

export function useSeries(range: string, metrics: string[], by?: string) {
	return useQuery({
		queryKey: ["stats", "series", range, metrics.join(), by ?? ""],
		queryFn: () =>
			api.get("/admin/api/v1/stats/series", {
				params: { query: { range, metric: metrics.join(), tz: zone, ...(by ? { by } : {}) } },
			}) as Promise<unknown> as Promise<Series>,
		placeholderData: keepPreviousData,
		refetchInterval: () => (document.hidden ? false : 15_000),
	});
}

const token = (name: string) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

export function Chart({
	kind,
	data,
	names,
	unit,
	error,
}: {
	kind: "stack" | "lines";
	data: Series | undefined;
	names: string[];
	unit?: string;
	error: unknown;
}) {
	const box = useRef<HTMLDivElement>(null);
	const [asTable, setTable] = useState(false);
	const theme = useSyncExternalStore(onTaste, () => document.documentElement.dataset.theme ?? "light");
	const [, sized] = useState(0);
	useEffect(() => {
		const watch = new ResizeObserver(() => sized((count) => count + 1));
		if (box.current) watch.observe(box.current);
		return () => watch.disconnect();
	}, [asTable]);
	const width = box.current?.clientWidth ?? 0;
	useEffect(() => {
		if (!box.current || !data || asTable || !width) return;
		const plot = new uPlot(options(kind, names, width, unit), columns(kind, data), box.current);
		return () => plot.destroy();
	}, [data, theme, asTable, width, currentLanguage()]);
	if (error && !data) return <Failed error={error} />;
	const csv = () => {
		if (!data) return;
		const rows = data.buckets.map((bucket, index) => [bucket, ...data.series.map((one) => one.values[index])]);
		saveCsv("series.csv", [["time", ...data.series.map((one) => one.metric)], ...rows]);
	};
	return (
		<div>
			<div className="mb-1 flex flex-wrap items-center gap-3 text-xs text-ink-2">
				{names.map((name, index) => (
					<span key={name} className="flex items-center gap-1">
						<span
							className={`inline-block size-2.5 rounded-xs ${kind === "stack" ? (["bg-chart-ok", "hatch-bad", "bg-chart-off"][index] ?? "") : index ? "bg-chart-2" : "bg-chart-ok"}`}
						/>
						{name}
						{kind === "stack" && data && <strong className="tabular-nums">{number(data.series[index]?.total ?? 0)}</strong>}
					</span>
				))}
				<button type="button" className="ml-auto underline" onClick={() => setTable(!asTable)}>
					{asTable ? t("overview.as_chart") : t("overview.as_table")}
				</button>
				<button type="button" className="underline" onClick={csv}>
					CSV
				</button>
			</div>
			{asTable && data ? (
				<div className="h-44 overflow-auto" tabIndex={0} role="region" aria-label={t("overview.as_table")}>
					<table className="w-full text-xs tabular-nums">
						<thead>
							<tr className="text-left text-ink-3">
								<th>{t("requests.time")}</th>
								{names.map((name) => (
									<th key={name} className="text-right">
										{name}
									</th>
								))}
							</tr>
						</thead>
						<tbody>
							{data.buckets.map((bucket, index) => (
								<tr key={bucket} className="border-t border-line">
									<td>{absolute(bucket)}</td>
									{data.series.map((one) => (
										<td key={one.metric} className="text-right">
											{one.values[index] == null ? "–" : number(one.values[index] as number)}
										</td>
									))}
								</tr>
							))}
						</tbody>
					</table>
				</div>
			) : (
				<div ref={box} className="h-44" role="img" aria-label={names.join(", ")} />
			)}
		</div>
	);
}

/** Stacked series are drawn from the top down, each with what lies below it. */
function columns(kind: "stack" | "lines", data: Series): uPlot.AlignedData {
	const times = data.buckets.map((bucket) => Date.parse(bucket) / 1_000);
	if (kind === "lines") return [times, ...data.series.map((one) => one.values)] as uPlot.AlignedData;
	const sums: (number | null)[][] = [];
	let below: (number | null)[] = times.map(() => 0);
	for (const one of data.series) {
		below = one.values.map((value, index) => (value === null ? null : value + (below[index] ?? 0)));
		sums.push(below);
	}
	return [times, ...sums.reverse()] as uPlot.AlignedData;
}

function options(kind: "stack" | "lines", names: string[], width: number, unit?: string): uPlot.Options {
	const text = token("--ink-2");
	const axis = { stroke: text, grid: { stroke: token("--line"), width: 1 }, ticks: { show: false }, font: "12px sans-serif" };
	const colours =
		kind === "stack"
			? [token("--chart-ok"), token("--chart-bad"), token("--chart-off")]
			: [token("--chart-ok"), token("--chart-2")];
	const series = names.map((label, index): uPlot.Series => {
		const colour = colours[index] ?? text;
		return kind === "stack"
			? { label, fill: colour, stroke: colour, width: 0, paths: uPlot.paths.bars?.({ size: [0.8, 40] }), points: { show: false } }
			: { label, stroke: colour, width: 1.5, dash: index ? [6, 4] : undefined };
	});
	return {
		width,
		height: 176,
		legend: { show: false },
		cursor: { drag: { x: false, y: false }, points: { show: kind === "lines" } },
		scales: { y: { range: (_, __, max) => [0, Math.max(1, (max ?? 1) * 1.05)] } },
		axes: [
			{ ...axis, grid: { show: false }, values: (_, ticks) => ticks.map((tick) => timeLabel(tick, ticks)) },
			{
				...axis,
				size: 56,
				values: (_, ticks) =>
					ticks.map((tick) =>
						Number.isInteger(tick) || unit ? `${number(tick, { notation: "compact" })}${unit === "ms" ? " ms" : ""}` : "",
					),
			},
		],
		series: [{}, ...(kind === "stack" ? series.reverse() : series)],
	};
}

function timeLabel(tick: number, ticks: number[]): string {
	const span = (ticks.at(-1) ?? tick) - (ticks[0] ?? tick);
	const format: Intl.DateTimeFormatOptions =
		span > 2 * 86_400 ? { month: "numeric", day: "numeric" } : { hour: "2-digit", minute: "2-digit", hour12: false };
	return new Intl.DateTimeFormat(currentLanguage(), format).format(tick * 1_000);
}
